//! Groups on a UDP socket of the system, where it lets one join.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use adapter_core::runtime::{RecvBatch, SendBatch, SocketOptions, sys::UdpSocket};
use adapter_core::sip_transport_proto::ChannelConfig;
use adapter_core::sip_transport_proto::Protocol;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 76);

fn bind(joins: bool) -> Option<UdpSocket> {
    bind_with(if joins {
        &[(GROUP, Ipv4Addr::LOCALHOST)]
    } else {
        &[]
    })
}

fn bind_with(groups: &[(Ipv4Addr, Ipv4Addr)]) -> Option<UdpSocket> {
    let mut options = SocketOptions::default();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let config = ChannelConfig::new(Protocol::Udp, everywhere);
    let join = |config: ChannelConfig, &(group, interface)| config.join(group, interface);
    let config = groups.iter().fold(config, join);
    options.groups = config.memberships().to_vec();
    match UdpSocket::bind(everywhere, &options) {
        Ok(socket) => Some(socket),
        Err(error) => {
            println!("skipped, as no group can be joined here: {error}");
            None
        }
    }
}

/// What comes within a second.
fn receive(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut batch = RecvBatch::new();
    let io = socket.get_ref();
    io.set_nonblocking(false).unwrap();
    let wait = std::time::Duration::from_secs(1);
    io.set_read_timeout(Some(wait)).unwrap();
    let _ = io.peek_from(&mut [0]);
    match socket.recv(&mut batch) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        result => result.unwrap(),
    }
    batch
        .iter()
        .map(|datagram| datagram.data.to_vec())
        .collect()
}

// conformance: 101
#[test]
#[cfg(target_os = "linux")]
fn each_datagram_to_a_group_goes_with_its_ttl() {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
    use std::os::fd::AsRawFd as _;

    let Some(socket) = bind(true) else { return };
    let io = socket.get_ref();
    setsockopt(io, sockopt::Ipv4RecvTtl, &true).unwrap();
    io.set_nonblocking(false).unwrap();
    let to = SocketAddr::from((GROUP, socket.local_addr().port()));
    let source = Some(Ipv4Addr::LOCALHOST.into());
    let mut batch = SendBatch::new(1 << 16);
    let ttls = [1, 1, 7, 0, 255];
    for ttl in ttls {
        let push = batch.push_with_ttl(to, source, Some(ttl), 1, |bytes| bytes.push(ttl));
        push.unwrap();
    }
    socket.send(&mut batch).unwrap();
    assert!(batch.failures().is_empty());
    for ttl in ttls {
        let (mut data, mut space) = ([0], nix::cmsg_space!(i32, [u8; 64]));
        let mut slices = [std::io::IoSliceMut::new(&mut data)];
        let flags = MsgFlags::empty();
        let message = recvmsg::<()>(io.as_raw_fd(), &mut slices, Some(&mut space), flags).unwrap();
        let told = message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::Ipv4Ttl(ttl) => Some(ttl),
            _ => None,
        });
        assert_eq!(told, Some(ttl.into()));
        assert_eq!(data, [ttl]);
    }
}

// A wildcard socket hears the groups of all sockets of the machine, unless told otherwise.
#[test]
#[cfg(target_os = "linux")]
fn a_socket_hears_no_group_that_another_has_joined() {
    let (Some(member), Some(other)) = (bind(true), bind(false)) else {
        return;
    };
    let mut batch = SendBatch::new(1 << 16);
    let source = Some(Ipv4Addr::LOCALHOST.into());
    for (port, text) in [
        (other.local_addr().port(), "group"),
        (member.local_addr().port(), "own"),
    ] {
        let to = SocketAddr::from((GROUP, port));
        batch
            .push_with_ttl(to, source, Some(0), 1, |bytes| {
                bytes.extend_from_slice(text.as_bytes())
            })
            .unwrap();
    }
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, other.local_addr().port()));
    batch
        .push(to, None, 2, |bytes| bytes.extend_from_slice(b"alone"))
        .unwrap();
    member.send(&mut batch).unwrap();
    assert_eq!(receive(&other), [b"alone".to_vec()]);
    assert_eq!(receive(&member), [b"own".to_vec()]);
}

// The step `groups` of .ci/run has a second interface.
#[test]
#[cfg(target_os = "linux")]
fn a_datagram_to_a_group_leaves_by_the_interface_of_its_source() {
    const OTHER_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);
    let Ok(second) = std::env::var("SECOND_INTERFACE") else {
        println!("skipped: SECOND_INTERFACE names no address of a second interface");
        return;
    };
    let second: Ipv4Addr = second.parse().unwrap();
    let first = Ipv4Addr::LOCALHOST;
    let socket = bind_with(&[(GROUP, first), (OTHER_GROUP, second)]).unwrap();
    let mut batch = SendBatch::new(1 << 16);
    for (group, source) in [(OTHER_GROUP, second), (GROUP, first)] {
        let to = SocketAddr::from((group, socket.local_addr().port()));
        let write = |bytes: &mut Vec<u8>| bytes.extend_from_slice(&source.octets());
        let push = batch.push_with_ttl(to, Some(source.into()), Some(0), 1, write);
        push.unwrap();
    }
    socket.send(&mut batch).unwrap();
    assert!(batch.failures().is_empty());
    let expected = [second, first].map(|source| source.octets().to_vec());
    assert_eq!(receive(&socket), expected);
}
