//! The capabilities that a service hands out, one for each role.

use crate::access::Role;
use capnp::capability::FromClientHook;
use capnp::private::capability::ClientHook;
use schema::access::Rights;
use std::rc::Rc;

type Confined = dyn Fn(Rc<Rights>) -> Box<dyn ClientHook>;

/// What peers are handed when they connect.
pub struct Bootstrap {
    full: Box<dyn ClientHook>,
    confined: Option<Rc<Confined>>,
}

impl<C: FromClientHook> From<C> for Bootstrap {
    /// The same object for everybody. Whoever is no admin has only those of its methods that were granted to him.
    fn from(full: C) -> Self {
        Self { full: full.into_client_hook(), confined: None }
    }
}

impl Bootstrap {
    /// Gives whoever is neither admin nor service another object, which knows of his rights and has nothing but what they
    /// reach.
    #[must_use]
    pub fn confined<C: FromClientHook>(self, make: impl Fn(Rc<Rights>) -> C + 'static) -> Self {
        Self { confined: Some(Rc::new(move |rights| make(rights).into_client_hook())), ..self }
    }

    /// The object for a role.
    pub(super) fn of(&self, role: &Role) -> Box<dyn ClientHook> {
        match (role, &self.confined) {
            (Role::Limited(rights), Some(make)) => make(Rc::clone(rights)),
            _ => self.full.add_ref(),
        }
    }
}
