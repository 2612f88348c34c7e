//! Looking into a container's root filesystem.

use super::ending::passed;
use crate::container::Handle;
use schema::filesystem::Place;
use schema::{Code, Failure};

/// Where a container's root filesystem is. What is being mounted or unmounted is waited for.
pub(super) async fn place(handle: &Handle) -> Result<Place, Failure> {
    handle.until_live().await?;
    Ok(passed(handle).await.record.place())
}

/// Does something in a container's root filesystem; once more if its run ended meanwhile.
pub(crate) async fn in_place<T>(
    handle: &Handle,
    work: impl AsyncFn(&Place) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let before = place(handle).await?;
    match work(&before).await {
        Err(failure) if failure.code == Code::NotFound && before.sandbox.is_some() => {
            let now = place(handle).await?;
            if now == before { Err(failure) } else { work(&now).await }
        }
        answer => answer,
    }
}
