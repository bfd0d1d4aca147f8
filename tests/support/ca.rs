//! A certificate authority for one test.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;

/// A certificate authority whose certificate lies in a file, for `ca_file`.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    directory: Arc<TempDir>,
    issued: AtomicU32,
}

/// A server certificate and its key, as PEM files that live as long as this does.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Servers read the files whenever they start a process, long after the
    /// authority that issued them may be gone.
    directory: Arc<TempDir>,
}

impl Ca {
    pub fn new() -> Ca {
        let directory = Arc::new(super::process::open_directory("mandate-ca"));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Mandate test CA");
        let root = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), root.pem()).unwrap();
        Ca {
            certificate: root.der().clone(),
            issuer: Issuer::new(params, key),
            directory,
            issued: AtomicU32::new(0),
        }
    }

    /// The file that holds this authority's certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate for `localhost` and 127.0.0.1.
    pub fn localhost(&self) -> Certificate {
        self.issue(&["localhost", "127.0.0.1"])
    }

    /// A certificate for other names, to be refused.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        self.sign(params_for(names))
    }

    /// A certificate for `localhost` that ended years ago.
    pub fn expired(&self) -> Certificate {
        let mut params = params_for(&["localhost", "127.0.0.1"]);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// A client that trusts this authority and no other.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    fn sign(&self, params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let place = |suffix: &str| self.directory.path().join(format!("server{number}.{suffix}"));
        let directory = Arc::clone(&self.directory);
        let files = Certificate { certificate: place("pem"), key: place("key"), directory };
        std::fs::write(&files.certificate, signed.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

impl Certificate {
    /// A TLS server that shows this certificate.
    pub fn server(&self) -> Arc<ServerConfig> {
        use rustls::pki_types::PrivateKeyDer;
        use rustls::pki_types::pem::PemObject;
        let chain = CertificateDer::pem_file_iter(&self.certificate).unwrap();
        let chain = chain.map(|certificate| certificate.unwrap()).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }
}

fn params_for(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0].clone());
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Named at each use: the tests' own TLS depends on no process-wide default.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
