//! `mandate init`: what must be there before the first start. Never replaces anything.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::exit::{Exit, Fault};
use crate::config::Config;
use crate::store::Sealer;

pub(super) fn run(file: &Path, config: &Config) -> Result<Exit, Fault> {
    let (directory, key) = (&config.state.directory, &config.state.key_file);
    if make_directory(directory)? {
        println!("made {} (0700)", directory.display());
    } else {
        println!("{} is there already", directory.display());
    }
    if config.state.credential_file().is_some() {
        println!("the key comes from systemd's credential {:?}", config.state.credential);
    } else if exists(key)? {
        println!("{} is there already, and stays", key.display());
    } else {
        Sealer::create_key_file(key).map_err(|error| Fault::new(Exit::CantCreate, error.to_string()))?;
        println!("made {} (0600): keep a copy, what it seals opens with nothing else", key.display());
    }
    next_steps(file, config);
    Ok(Exit::Ok)
}

/// `false`: it was there.
fn make_directory(path: &Path) -> Result<bool, Fault> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => {
            let exit = if error.kind() == ErrorKind::PermissionDenied {
                Exit::NoPermission
            } else {
                Exit::CantCreate
            };
            Err(Fault::new(exit, format!("{}: {error}", path.display())))
        }
    }
}

/// A key that cannot be looked at is no reason to make another.
fn exists(path: &Path) -> Result<bool, Fault> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Fault::new(Exit::NoPermission, format!("{}: {error}", path.display()))),
    }
}

fn next_steps(file: &Path, config: &Config) {
    let mandate = format!("mandate --config {}", file.display());
    println!(
        "\nNext:\n\
         \x20 put certificate and key at {} and {}\n\
         \x20 {mandate} check\n\
         \x20 {mandate} user add alice@example.org\n\
         \x20 {mandate} mailbox add support@example.org --imap imap.example.org --smtp smtp.example.org\n\
         \x20 {mandate} grant add alice@example.org support responder\n\
         \x20 {mandate} serve",
        config.tls.certificate.display(),
        config.tls.key.display(),
    );
}
