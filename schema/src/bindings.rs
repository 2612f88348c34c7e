//! Generated from `schema/*.capnp`; see those files for the meaning of everything here.
#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction)]

macro_rules! generated {
    ($($module:ident),*) => {$(
        pub mod $module {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($module), ".rs"));
        }
    )*};
}

generated!(
    common_capnp,
    containers_capnp,
    executor_capnp,
    filesystem_capnp,
    image_store_capnp,
    log_collector_capnp,
    network_capnp,
    supervisor_capnp
);
