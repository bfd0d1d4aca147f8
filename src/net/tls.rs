//! TLS: our certificate towards clients, our trust towards mail hosts.
//!
//! TLS 1.2 and newer (RFC 8996), forward secrecy only, no early data, no renegotiation,
//! verification cannot be switched off.

mod client;
mod server;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

pub(super) use client::Connectors;
pub use server::{AcceptError, Acceptor, ServerIdentity, TlsSettings};

/// Why certificates or keys cannot be used. Names the file.
#[derive(Debug)]
pub enum TlsError {
    Read {
        file: PathBuf,
        source: io::Error,
    },
    Pem {
        file: PathBuf,
        source: pem::Error,
    },
    NoCertificate {
        file: PathBuf,
    },
    /// Certificate and key do not belong together, or one of them is of no use.
    Unusable {
        file: PathBuf,
        source: rustls::Error,
    },
    /// The system offers no root certificate at all.
    NoSystemRoots,
    Library(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, source } => write!(f, "{}: {source}", file.display()),
            Self::Pem { file, source } => write!(f, "{}: not usable as PEM: {source}", file.display()),
            Self::NoCertificate { file } => write!(f, "{}: holds no certificate", file.display()),
            Self::Unusable { file, source } => write!(f, "{}: {source}", file.display()),
            Self::NoSystemRoots => {
                f.write_str("the system has no root certificates (package ca-certificates)")
            }
            Self::Library(source) => write!(f, "TLS: {source}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// AES-128-GCM first: the fastest, and as recommended as AES-256-GCM (RFC 9325 §4.2);
/// ChaCha20 for clients that offer nothing else.
fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() })
}

/// All certificates of a PEM file; at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|source| TlsError::Pem { file: file.to_owned(), source })?;
    if all.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    Ok(all)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}
