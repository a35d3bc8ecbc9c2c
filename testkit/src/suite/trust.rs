use std::net::IpAddr;
use std::sync::LazyLock;

use sip_transport_proto::tls::{ServerCertificates, TlsConfig};
use sip_transport_proto::{ChannelConfig, Protocol};

use crate::certificates::Certificates;

/// The start of 2025, where time stands still for certificates.
const NOW: u64 = 1_735_689_600;

static AUTHORITY: LazyLock<Certificates> = LazyLock::new(|| Certificates::new().at(NOW));

/// The authority that transports trust unless a case says otherwise.
pub fn authority() -> &'static Certificates {
    &AUTHORITY
}

/// Another one, that nobody trusts.
pub fn stranger() -> Certificates {
    Certificates::new().at(NOW)
}

/// Accepts for whoever asks for that address; for all addresses, if it stands for them.
pub fn server_at(ip: IpAddr) -> TlsConfig {
    let names: Vec<String> = match ip.is_unspecified() {
        false => vec![ip.to_string()],
        true => {
            let numbers =
                (1..=16).flat_map(|n| [format!("192.0.2.{n}"), format!("2001:db8::{n:x}")]);
            ["127.0.0.1".into(), "::1".into()]
                .into_iter()
                .chain(numbers)
                .collect()
        }
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    authority().server(&names)
}

/// Accepts with these certificates.
///
/// # Panics
/// It cannot be built.
pub fn server_with(certificates: impl Into<ServerCertificates>) -> TlsConfig {
    match authority().server_builder_with(certificates).build() {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    }
}

/// A channel as cases take it: a secure one shows a certificate for its address.
pub fn channel(protocol: Protocol, local: std::net::SocketAddr) -> ChannelConfig {
    let channel = ChannelConfig::new(protocol, local);
    match protocol.is_secure() {
        true => channel.tls(server_at(local.ip())),
        false => channel,
    }
}
