//! Asking a registry whether it knows us.

use crate::auth::Credentials;
use crate::http::Request;
use crate::registry::{Registry, pause};
use crate::retry::Problem;
use schema::Failure;

impl Registry {
    /// Asks whether it knows our credentials. Gives what can be kept in place of the password, if it offers that.
    /// Fails: permissionDenied; unavailable; invalidArgument if it wants no credentials.
    pub async fn log_in(&self) -> Result<Option<String>, Failure> {
        let mut attempts = self.attempts();
        loop {
            match self.log_in_once().await {
                Ok(token) => return Ok(token),
                Err(problem) => pause(&mut attempts, problem, &()).await?,
            }
        }
    }

    async fn log_in_once(&self) -> Result<Option<String>, Problem> {
        let asked = self.asked("log-in");
        let base = self.base(&asked).await?.clone();
        if self.authority.credentials == Credentials::Anonymous {
            return Err(Problem::lasting(Failure::invalid(format_args!("{asked}: give a user and a password"))));
        }
        let token = self.authority.log_in(&self.http, &base, &asked).await?;
        // It may have no token server, or one that gives a token to everybody: it is the registry that decides.
        self.ask(Request::get(base), None, "", &asked).await?.ok().await?;
        Ok(token)
    }
}
