//! How full a mailbox is.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::catalogue::Catalogue;
use super::error::LeaseError;
use super::status::WAIT;
use crate::imap::response::{Quota, Response};
use crate::imap::writer::Housekeeping;

impl Catalogue {
    /// The usage of a folder's first quota root, which is the one that clients show; empty if
    /// the folder has none. `None` if the host does not say in time.
    pub async fn quota(self: &Arc<Self>, wire_name: &[u8]) -> Option<Vec<Quota>> {
        match timeout(WAIT, self.ask_quota(wire_name)).await {
            Ok(Ok(quotas)) => quotas,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the quota was not told");
                None
            }
            Err(_) => None,
        }
    }

    async fn ask_quota(&self, wire_name: &[u8]) -> Result<Option<Vec<Quota>>, LeaseError> {
        let deadline = Instant::now() + WAIT;
        let mut lease = self.housekeeping(deadline).await?;
        let answered = lease.command_by(&Housekeeping::QuotaRoot { folder: wire_name }, deadline).await?;
        lease.give_back().await;
        if !answered.is_ok() {
            return Ok(None);
        }
        let roots = answered.responses().find_map(|response| match response {
            Response::QuotaRoots(roots) => Some(roots),
            _ => None,
        });
        let Some(first) = roots.and_then(|roots| roots.into_iter().next()) else {
            return Ok(Some(Vec::new()));
        };
        let quota = answered.responses().find_map(|response| match response {
            Response::Quota(quota) if quota.root == first => Some(quota.resources),
            _ => None,
        });
        Ok(Some(quota.unwrap_or_default()))
    }
}
