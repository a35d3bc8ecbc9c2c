//! Datagrams by `recvmmsg` and `sendmmsg`, packet info, and the error queue.

use std::cell::RefCell;
use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::thread::LocalKey;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6,
    SockaddrLike, recvmmsg, recvmsg, sendmmsg, setsockopt, sockopt,
};
use nix::{cmsg_space, libc};
use socket2::Socket;

use super::canonical;
use crate::runtime::batch::{
    BATCH, DatagramFailure, LONGEST, Queued, Received, RecvBatch, STRIDE, SendBatch,
};

/// The ICMP errors read at once; more wait in the kernel's queue, which has its own limit.
const MOST_REPORTS: usize = 64;

/// The socket option for the don't-fragment bit of IPv4 datagrams.
#[derive(Debug, Clone, Copy)]
struct IpMtuDiscover;
nix::setsockopt_impl!(
    IpMtuDiscover,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    libc::c_int,
    sockopt::SetStruct<'_, libc::c_int>
);

/// The socket option for IPv6 datagrams longer than the path's MTU.
#[derive(Debug, Clone, Copy)]
struct Ipv6MtuDiscover;
nix::setsockopt_impl!(
    Ipv6MtuDiscover,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU_DISCOVER,
    libc::c_int,
    sockopt::SetStruct<'_, libc::c_int>
);

pub(super) const EMSGSIZE: i32 = libc::EMSGSIZE;
pub(super) const ENOBUFS: i32 = libc::ENOBUFS;

pub(super) fn prepare(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    let wildcard = local.ip().is_unspecified();
    // An IPv6 socket accepts the IPv4 options too: they apply to the IPv4 half of a dual-stack one.
    setsockopt(socket, IpMtuDiscover, &libc::IP_PMTUDISC_DONT)?;
    setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
    // Groups that other sockets joined are not ours. A kernel may lack the option.
    match socket.set_multicast_all_v4(false) {
        Err(error) if error.raw_os_error() != Some(libc::ENOPROTOOPT) => return Err(error),
        _ => {}
    }
    if local.is_ipv6() {
        setsockopt(socket, Ipv6MtuDiscover, &libc::IPV6_PMTUDISC_DONT)?;
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &wildcard)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &wildcard)?;
    }
    Ok(())
}

pub(super) fn set_bind_address_no_port(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?)
}

pub(super) fn recv(socket: &UdpSocket, local: SocketAddr, batch: &mut RecvBatch) -> io::Result<()> {
    match local {
        SocketAddr::V4(_) => recv_family::<SockaddrIn>(socket.as_raw_fd(), local, batch),
        SocketAddr::V6(_) => recv_family::<SockaddrIn6>(socket.as_raw_fd(), local, batch),
    }
}

pub(super) fn send(socket: &UdpSocket, local: SocketAddr, batch: &mut SendBatch) -> io::Result<()> {
    match local {
        SocketAddr::V4(_) => send_family::<SockaddrIn>(socket, local, batch),
        SocketAddr::V6(_) => send_family::<SockaddrIn6>(socket, local, batch),
    }
}

/// The headers of a batch, which the kernel reads and writes: kept for each thread and address
/// family, since they hold raw pointers and so cannot move with a task.
///
/// Receiving and sending never share them: `recvmmsg` would write where the last `sendmmsg` read.
/// Those with and without packet info are separate too, as each call leaves the length of the
/// control data that it saw to the next call.
struct Headers<S> {
    receive: MultiHeaders<S>,
    receive_info: MultiHeaders<S>,
    send: MultiHeaders<S>,
    send_info: MultiHeaders<S>,
}

impl<S: Family> Headers<S> {
    fn new() -> Self {
        let plain = || MultiHeaders::preallocate(BATCH, None);
        let info = || MultiHeaders::preallocate(BATCH, Some(S::info_space()));
        Self {
            receive: plain(),
            receive_info: info(),
            send: plain(),
            send_info: info(),
        }
    }
}

thread_local! {
    static HEADERS_V4: RefCell<Headers<SockaddrIn>> = RefCell::new(Headers::new());
    static HEADERS_V6: RefCell<Headers<SockaddrIn6>> = RefCell::new(Headers::new());
}

/// The differences between IPv4 and IPv6 sockets.
trait Family: SockaddrLike + Copy + 'static {
    type Info;
    fn headers() -> &'static LocalKey<RefCell<Headers<Self>>>;
    /// Room for exactly one packet info.
    fn info_space() -> Vec<u8>;
    fn from_std(address: SocketAddr) -> Option<Self>;
    fn to_std(self) -> SocketAddr;
    fn info(source: IpAddr) -> Option<Self::Info>;
    fn control(info: &Self::Info) -> ControlMessage<'_>;
}

impl Family for SockaddrIn {
    type Info = libc::in_pktinfo;

    fn headers() -> &'static LocalKey<RefCell<Headers<Self>>> {
        &HEADERS_V4
    }

    fn info_space() -> Vec<u8> {
        cmsg_space!(libc::in_pktinfo)
    }

    fn from_std(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V4(v4) => Some(v4.into()),
            SocketAddr::V6(_) => None,
        }
    }

    fn to_std(self) -> SocketAddr {
        SocketAddrV4::new(self.ip(), self.port()).into()
    }

    fn info(source: IpAddr) -> Option<libc::in_pktinfo> {
        let IpAddr::V4(ip) = source else { return None };
        Some(libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from_ne_bytes(ip.octets()),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        })
    }

    fn control(info: &libc::in_pktinfo) -> ControlMessage<'_> {
        ControlMessage::Ipv4PacketInfo(info)
    }
}

impl Family for SockaddrIn6 {
    type Info = libc::in6_pktinfo;

    fn headers() -> &'static LocalKey<RefCell<Headers<Self>>> {
        &HEADERS_V6
    }

    fn info_space() -> Vec<u8> {
        cmsg_space!(libc::in6_pktinfo)
    }

    fn from_std(address: SocketAddr) -> Option<Self> {
        Some(match address {
            SocketAddr::V4(v4) => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            SocketAddr::V6(v6) => v6.into(),
        })
    }

    fn to_std(self) -> SocketAddr {
        // The flow label is omitted: it is not part of the peer's address.
        canonical(SocketAddrV6::new(self.ip(), self.port(), 0, self.scope_id()).into())
    }

    fn info(source: IpAddr) -> Option<libc::in6_pktinfo> {
        let ip = match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Some(libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: ip.octets(),
            },
            ipi6_ifindex: 0,
        })
    }

    fn control(info: &libc::in6_pktinfo) -> ControlMessage<'_> {
        ControlMessage::Ipv6PacketInfo(info)
    }
}

fn recv_family<S: Family>(fd: RawFd, local: SocketAddr, batch: &mut RecvBatch) -> io::Result<()> {
    for _ in 0..MOST_REPORTS {
        match S::headers().with_borrow_mut(|headers| receive(fd, local, headers, batch)) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            Err(error) => {
                take_reports::<S>(fd, &mut batch.failures);
                if !batch.failures.is_empty() {
                    return Ok(());
                }
                if !is_about_a_peer(error) {
                    return Err(error.into());
                }
            }
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// One `recvmmsg` into all slots.
fn receive<S: Family>(
    fd: RawFd,
    local: SocketAddr,
    headers: &mut Headers<S>,
    batch: &mut RecvBatch,
) -> nix::Result<()> {
    let wildcard = local.ip().is_unspecified();
    let multi = if wildcard {
        &mut headers.receive_info
    } else {
        &mut headers.receive
    };
    let mut slots = batch.arena.chunks_mut(STRIDE);
    let mut slices: [_; BATCH] = std::array::from_fn(|_| {
        [IoSliceMut::new(
            slots.next().map_or(&mut [], |slot| &mut slot[..LONGEST]),
        )]
    });
    let mut uninformed = false;
    for message in recvmmsg(fd, multi, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)? {
        let Some(remote) = message.address.map(S::to_std) else {
            continue;
        };
        let told = if wildcard { local_ip(&message) } else { None };
        uninformed |= wildcard && told.is_none();
        batch.received.push(Received {
            length: message.bytes,
            remote,
            local: told.unwrap_or_else(|| local.ip()),
            truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        });
    }
    if uninformed {
        // The headers now record that there is no room for packet info.
        *headers = Headers::new();
    }
    Ok(())
}

fn local_ip<S>(message: &RecvMsg<'_, '_, S>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| match control {
        // `ipi_spec_dst` is the local address even of a multicast or broadcast.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).to_canonical())
        }
        _ => None,
    })
}

fn send_family<S: Family>(
    socket: &UdpSocket,
    local: SocketAddr,
    batch: &mut SendBatch,
) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    let wildcard = local.ip().is_unspecified();
    let mut retries = 0;
    while let Some(head) = batch.waiting().first() {
        if let Some(ttl) = head.ttl
            && let Err(error) = socket.set_multicast_ttl_v4(ttl.into())
        {
            batch.failed(error);
            continue;
        }
        match S::headers().with_borrow_mut(|headers| send_run(fd, wildcard, headers, batch)) {
            Ok(Run { sent, tried }) => {
                batch.sent(sent);
                retries = 0;
                if sent < tried {
                    // The error that stopped the call is lost, whether an ICMP error or the next
                    // datagram's own, which the next call will meet again.
                    take_reports::<S>(fd, &mut batch.failures);
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => {
                // The call may have failed because of an ICMP error about another peer, and cleared
                // it: only an error that remains is this datagram's own.
                let reports = take_reports::<S>(fd, &mut batch.failures);
                if retries == 0 || reports > 0 && retries < MOST_REPORTS {
                    retries += 1;
                } else {
                    batch.failed(error.into());
                    retries = 0;
                }
            }
        }
    }
    Ok(())
}

struct Run {
    sent: usize,
    tried: usize,
}

/// One `sendmmsg` for the leading datagrams with the same source address and TTL.
fn send_run<S: Family>(
    fd: RawFd,
    wildcard: bool,
    headers: &mut Headers<S>,
    batch: &SendBatch,
) -> nix::Result<Run> {
    let source = |entry: &Queued| entry.source.filter(|ip| wildcard && !ip.is_unspecified());
    let waiting = batch.waiting();
    let from = waiting.first().and_then(source);
    let ttl = waiting.first().and_then(|entry| entry.ttl);
    let info = match from {
        Some(ip) => Some(S::info(ip).ok_or(Errno::EAFNOSUPPORT)?),
        None => None,
    };
    let controls = info.as_ref().map(S::control);
    let multi = if info.is_some() {
        &mut headers.send_info
    } else {
        &mut headers.send
    };

    let mut slices = [[IoSlice::new(&[])]; BATCH];
    let mut addresses = [None; BATCH];
    let mut tried = 0;
    for (entry, (slice, address)) in waiting.iter().zip(slices.iter_mut().zip(&mut addresses)) {
        let destination = S::from_std(entry.destination);
        if destination.is_none() || source(entry) != from || entry.ttl != ttl {
            break;
        }
        let data = batch.arena.get(entry.start..entry.end).unwrap_or_default();
        (*slice, *address) = ([IoSlice::new(data)], destination);
        tried += 1;
    }
    if tried == 0 {
        return Err(Errno::EAFNOSUPPORT);
    }
    let flags = MsgFlags::MSG_DONTWAIT;
    let sent = sendmmsg(
        fd,
        multi,
        &slices[..tried],
        addresses,
        controls.as_slice(),
        flags,
    )?;
    Ok(Run {
        sent: sent.count(),
        tried,
    })
}

/// Moves the entries of the socket's error queue to `failures`, and returns their number.
fn take_reports<S: Family>(fd: RawFd, failures: &mut Vec<DatagramFailure>) -> usize {
    let mut space = cmsg_space!([u8; 256]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    for count in 0..MOST_REPORTS {
        space.resize(space.capacity(), 0);
        let mut nothing = [IoSliceMut::new(&mut [])];
        let Ok(message) = recvmsg::<S>(fd, &mut nothing, Some(&mut space), flags) else {
            return count;
        };
        let (Some(destination), Ok(controls)) = (message.address, message.cmsgs()) else {
            continue;
        };
        for control in controls {
            let (ControlMessageOwned::Ipv4RecvErr(report, _)
            | ControlMessageOwned::Ipv6RecvErr(report, _)) = control
            else {
                continue;
            };
            if is_delivery_failure(&report) {
                let error = io::Error::from_raw_os_error(report.ee_errno.cast_signed());
                failures.push(DatagramFailure::new(None, destination.to_std(), error));
            }
        }
    }
    MOST_REPORTS
}

/// RFC 3261 §18.4: host, network, port or protocol unreachable and parameter problems are reported
/// to the user, source quench and TTL exceeded are not.
fn is_delivery_failure(report: &libc::sock_extended_err) -> bool {
    // RFC 792: destination unreachable, parameter problem.
    const ICMP: [u8; 2] = [3, 12];
    // RFC 4443: destination unreachable, packet too big, parameter problem.
    const ICMP_V6: [u8; 3] = [1, 2, 4];
    match report.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => ICMP.contains(&report.ee_type),
        libc::SO_EE_ORIGIN_ICMP6 => ICMP_V6.contains(&report.ee_type),
        _ => false,
    }
}

/// Returns true for errors that ICMP messages cause (those that the kernel's tables of ICMP codes
/// convert to).
fn is_about_a_peer(error: Errno) -> bool {
    matches!(
        error,
        Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::ENOPROTOOPT
            | Errno::EOPNOTSUPP
            | Errno::EPROTO
            | Errno::EMSGSIZE
            | Errno::EACCES
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nix::sys::socket::getsockopt;

    use super::*;
    use crate::runtime::SocketOptions;
    use crate::runtime::sys;

    nix::getsockopt_impl!(
        IpMtuDiscover,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        libc::c_int,
        sockopt::GetStruct<libc::c_int>
    );
    nix::getsockopt_impl!(
        Ipv6MtuDiscover,
        libc::IPPROTO_IPV6,
        libc::IPV6_MTU_DISCOVER,
        libc::c_int,
        sockopt::GetStruct<libc::c_int>
    );

    #[test]
    fn the_dont_fragment_bit_is_never_set() {
        for local in ["0.0.0.0:0", "127.0.0.1:0", "[::]:0"] {
            let Ok(socket) =
                sys::UdpSocket::bind(local.parse().unwrap(), &SocketOptions::default())
            else {
                assert!(local.starts_with('['), "only IPv6 may be missing");
                continue;
            };
            let socket = socket.get_ref();
            assert_eq!(
                getsockopt(socket, IpMtuDiscover).unwrap(),
                libc::IP_PMTUDISC_DONT
            );
            if local.starts_with('[') {
                assert_eq!(
                    getsockopt(socket, Ipv6MtuDiscover).unwrap(),
                    libc::IPV6_PMTUDISC_DONT
                );
            }
        }
    }

    fn report(ee_origin: u8, ee_type: u8) -> libc::sock_extended_err {
        let (ee_errno, ee_code, ee_pad, ee_info, ee_data) = (0, 0, 0, 0, 0);
        libc::sock_extended_err {
            ee_errno,
            ee_origin,
            ee_type,
            ee_code,
            ee_pad,
            ee_info,
            ee_data,
        }
    }

    // conformance: 152, 153
    #[test]
    fn unreachable_and_parameter_problem_are_failures_and_nothing_else() {
        let failures =
            |origin| (0..=u8::MAX).filter(move |&kind| is_delivery_failure(&report(origin, kind)));
        assert!(failures(libc::SO_EE_ORIGIN_ICMP).eq([3, 12]));
        assert!(failures(libc::SO_EE_ORIGIN_ICMP6).eq([1, 2, 4]));
        assert_eq!(failures(libc::SO_EE_ORIGIN_LOCAL).count(), 0);
    }
}
