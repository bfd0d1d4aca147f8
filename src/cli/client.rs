//! To the daemon if one runs, to the store itself otherwise.

use super::exit::{Exit, Fault};
use crate::admin::{self, Actor, Answer, AskError, Request};
use crate::config::Config;
use crate::daemon::{self, DaemonError};

/// The answer to a request, whoever gives it.
pub(super) fn answer(config: &Config, request: Request) -> Result<Answer, Fault> {
    let socket = &config.admin.socket;
    match admin::ask(socket, &request) {
        Ok(answer) => Ok(answer),
        Err(AskError::NoDaemon) => offline(config, request),
        Err(AskError::NotAllowed) => Err(Fault::new(
            Exit::NoPermission,
            format!("{}: only the daemon's user, its group and root may connect", socket.display()),
        )),
        Err(AskError::Version) => Err(Fault::new(
            Exit::Unavailable,
            "the daemon that runs is of another version than this program; restart it",
        )),
        Err(AskError::Io(error)) => {
            Err(Fault::new(Exit::TempFail, format!("the daemon did not answer: {error}")))
        }
    }
}

/// Opens the store, as nobody else has it, and its uid is ours.
fn offline(config: &Config, request: Request) -> Result<Answer, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new(Exit::Software, error.to_string()))?;
    let answer = runtime.block_on(async {
        let services = daemon::offline(config)?;
        let answer = admin::perform(&services, Actor { uid: daemon::own_uid()? }, request).await;
        services.journal.close().await?;
        services.store.close().await?;
        Ok::<Answer, DaemonError>(answer)
    });
    answer.map_err(Fault::from)
}

impl From<DaemonError> for Fault {
    fn from(error: DaemonError) -> Self {
        Self::new(exit(&error), error.to_string())
    }
}

fn exit(error: &DaemonError) -> Exit {
    use crate::store::StoreError;
    use std::io::ErrorKind;
    match error {
        DaemonError::Config(_) | DaemonError::Tls(_) => Exit::Config,
        DaemonError::Bind(error) if error.source.kind() == ErrorKind::PermissionDenied => Exit::NoPermission,
        DaemonError::Bind(_) | DaemonError::NothingListens | DaemonError::Running(_) => Exit::Unavailable,
        DaemonError::Owner { .. } => Exit::NoPermission,
        DaemonError::File(_, error) | DaemonError::Store(StoreError::Io { error, .. }) => {
            match error.kind() {
                ErrorKind::PermissionDenied => Exit::NoPermission,
                ErrorKind::NotFound => Exit::Config,
                _ => Exit::Software,
            }
        }
        DaemonError::Store(StoreError::Locked { .. } | StoreError::Busy | StoreError::ReadOnly) => {
            Exit::TempFail
        }
        DaemonError::Store(StoreError::Key { .. }) => Exit::Config,
        DaemonError::Store(StoreError::Damaged { .. } | StoreError::Newer { .. }) => Exit::Data,
        DaemonError::Store(
            StoreError::Conflict(_) | StoreError::Unknown(_) | StoreError::Refused(_) | StoreError::Sealed(_),
        ) => Exit::Data,
        DaemonError::Journal(_) | DaemonError::Runtime(_) => Exit::Software,
    }
}
