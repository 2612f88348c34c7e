//! Which tags a repository has.

use crate::error::Asked;
use crate::http::{Request, Response, same_origin};
use crate::registry::{Registry, pause, pulling};
use crate::retry::Problem;
use reqwest::Url;
use reqwest::header::LINK;
use schema::Failure;
use serde::Deserialize;

const LONGEST_PAGE: u64 = 4 << 20;
/// More than any repository that a person keeps.
const MOST_TAGS: usize = 10_000;
const MOST_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Registry {
    /// All tags, as the registry orders them.
    /// Fails: notFound; permissionDenied; unavailable; invalidArgument if there are more than 10,000.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, Failure> {
        let asked = self.asked(format_args!("tags of {repository}"));
        let mut tags = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let mut attempts = self.attempts();
            let (more, following) = loop {
                match self.page(repository, next.as_ref(), &asked).await {
                    Ok(page) => break page,
                    Err(problem) => pause(&mut attempts, problem, &()).await?,
                }
            };
            tags.extend(more);
            if tags.len() > MOST_TAGS {
                break;
            }
            next = following;
            if next.is_none() {
                return Ok(tags);
            }
        }
        Err(Failure::invalid(format_args!("{asked}: there are more than {MOST_TAGS}")).hint("pull them one by one"))
    }

    async fn page(
        &self,
        repository: &str,
        url: Option<&Url>,
        asked: &Asked,
    ) -> Result<(Vec<String>, Option<Url>), Problem> {
        let url = match url {
            Some(url) => url.clone(),
            None => self.url(&format!("{repository}/tags/list?n=1000"), asked).await?,
        };
        let response = self.ask(Request::get(url), None, &pulling(repository), asked).await?.ok().await?;
        let next = following(&response, self.base(asked).await?);
        let body = response.read(LONGEST_PAGE).await?;
        let page: Page = serde_json::from_slice(&body).map_err(|error| asked.nonsense(error))?;
        Ok((page.tags.unwrap_or_default(), next))
    }
}

/// `Link: </v2/...>; rel="next"`, if it leads to the same server.
fn following(response: &Response, base: &Url) -> Option<Url> {
    let (target, relation) = response.header(LINK)?.trim().strip_prefix('<')?.split_once('>')?;
    let next = response.url().join(target).ok()?;
    (relation.contains("next") && same_origin(&next, base)).then_some(next)
}
