//! Proxies, as the configuration names them.

use crate::server::{Answer, Server};
use crate::{configuration, run};
use registry_client::{Credentials, Registry};
use schema::Code;

#[test]
fn the_world_is_reached_by_the_proxy_and_this_machine_is_not() {
    let proxy = Server::start(|request, _| match request.line.as_str() {
        "GET http://registry.invalid:5000/v2/" => Answer::ok(b"{}"),
        line if line.starts_with("GET http://registry.invalid:5000/v2/app/tags/list") => {
            Answer::ok(br#"{"tags":["far"]}"#)
        }
        // What shall be https asks for a tunnel.
        line if line.starts_with("CONNECT ") => Answer::status("403 Forbidden"),
        _ => Answer::status("500 Internal Server Error"),
    });
    let text = format!(
        "[registry.\"registry.invalid:5000\"]\nplain-http = true\n[proxy]\nhttp = \"http://u:p@{0}\"\nhttps = \"{0}\"",
        proxy.name()
    );
    let configuration = configuration(&text);
    let at = |name: &str| Registry::new(&configuration, name, Credentials::Anonymous).unwrap();
    assert_eq!(run(at("registry.invalid:5000").tags("app")).unwrap(), ["far"]);
    assert!(proxy.seen().iter().all(|request| request.header("proxy-authorization").is_some()));
    assert_eq!(run(at("secure.invalid").tags("app")).unwrap_err().code, Code::Unavailable);
    assert_eq!(proxy.seen().last().unwrap().line, "CONNECT secure.invalid:443");
    let near = Server::registry(|_, _| Answer::ok(br#"{"tags":["near"]}"#));
    assert_eq!(run(at(&near.name()).tags("app")).unwrap(), ["near"]);
}

#[test]
fn hosts_may_be_excepted() {
    let proxy = Server::start(|_, _| Answer::status("500 Internal Server Error"));
    let text = format!(
        "[registry.\"registry.invalid\"]\nplain-http = true\n[proxy]\nhttp = \"{}\"\nno-proxy = [\".invalid\"]",
        proxy.name()
    );
    let registry = Registry::new(&configuration(&text), "registry.invalid", Credentials::Anonymous).unwrap();
    assert_eq!(run(registry.tags("app")).unwrap_err().code, Code::Unavailable);
    assert_eq!(proxy.seen().len(), 0);
}
