//! The behaviour of a transport, case by case, written once over a [`Host`].
//!
//! A test file names a host and gets every case as a test:
//!
//! ```ignore
//! testkit::suite!(testkit::suite::MemoryHost);
//! testkit::adapter_suite!(testkit::suite::MemoryHost);
//! ```
//!
//! [`runtime_suite!`](crate::runtime_suite) adds those about the runtime itself.
//!
//! No case sleeps: each waits for what must come, and a case that waits too long fails.

mod adapter;
pub mod cases;
mod counting;
mod host;
mod memory;
mod messages;
mod peers;
mod simulated;
mod system;
mod wait;

pub use adapter::{Adapter, AdapterHost};
pub use counting::Counting;
pub use host::{Endpoint, Family, Host, Place, Setup};
pub use memory::MemoryHost;
pub use messages::{body_of_length, reply, request, request_to, text, via};
pub use peers::{TcpPeer, UdpPeer};
pub use simulated::{FacadeHost, Simulated, SimulatedHost, SplitHost};
pub use system::{OnSystem, SystemHost};
pub use wait::{join, next_closed, next_malformed, next_opened, next_request, next_response};

/// A test for each named case: `cases!(Host: module::{case, case(argument)})`.
#[doc(hidden)]
#[macro_export]
macro_rules! cases {
    ($host:ty: $($module:ident::{$($case:ident),+ $(,)?})+) => {$($(
        #[test]
        fn $case() {
            <$host as $crate::suite::Host>::run($crate::suite::cases::$module::$case);
        }
    )+)+};
}

/// The cases that every host can show.
#[macro_export]
macro_rules! suite {
    ($host:ty) => {
        $crate::cases! { $host:
            exchange::{
                a_request_and_its_response_cross_over_udp_and_ipv4,
                a_request_and_its_response_cross_over_udp_and_ipv6,
                a_request_and_its_response_cross_over_tcp_and_ipv4,
                a_request_and_its_response_cross_over_tcp_and_ipv6,
                pipelined_requests_come_in_order,
                a_message_cut_anywhere_comes_whole,
                the_largest_datagram_arrives_whole,
                a_message_larger_than_a_datagram_is_refused_and_given_back,
            }
            substitution::{
                placeholders_become_the_address_used_towards_each_peer,
                a_reply_names_the_address_that_its_request_came_to,
                from_gets_the_host_only_and_the_rest_stays,
            }
            responses::{
                a_response_goes_back_over_the_connection_of_its_request,
                a_response_over_udp_goes_where_via_and_source_say,
                a_response_whose_connection_is_gone_opens_another,
            }
            hints::{
                a_connection_hint_wins_over_the_destination,
                a_closed_connection_hint_is_overruled,
                a_channel_hint_is_honoured_or_overruled_with_the_reason,
            }
            connections::{
                a_connection_is_used_again_until_it_closes,
                a_refused_connection_is_reported_with_the_message_back,
                closing_a_connection_tells_both_sides_why,
                a_send_that_waits_for_a_connection_ends_once,
            }
            channels::{
                a_channel_can_be_added_while_running,
                a_removed_channel_closes_its_connections_and_frees_its_address,
                a_channel_that_only_sends_is_made_on_demand,
                without_a_channel_and_none_to_be_made_a_send_fails,
            }
            receiving::{
                a_malformed_request_gets_one_400_over_udp,
                a_stream_that_cannot_be_read_gets_one_400_and_is_closed,
                a_malformed_ack_or_response_gets_no_reply,
                a_ping_gets_one_pong,
                a_response_to_nobody_is_dropped,
                an_unreachable_port_is_told_of_once,
            }
            life::{
                shutdown_writes_what_is_queued_and_ends_later_sends,
            }
        }
    };
}

/// The cases about what only the adapters have: application queues, futures, tasks, workers.
#[macro_export]
macro_rules! adapter_suite {
    ($host:ty) => {
        $crate::cases! { $host:
            adapters::{
                an_unread_queue_makes_streams_wait_and_loses_nothing,
                an_unread_queue_drops_datagrams_and_counts_them,
                sending_within_the_receive_loop_never_deadlocks,
                a_peer_that_never_reads_fills_its_queue_only,
                a_peer_that_never_reads_is_closed_in_time,
                every_send_ends_while_connections_come_and_go,
                a_resent_message_is_the_same_to_the_byte,
                shutdown_ends_incoming_and_every_task,
                dropping_all_handles_leaves_no_task,
                dropping_incoming_discards_and_counts,
                incoming_alone_keeps_the_transport_alive,
                a_dropped_send_still_goes_out,
                blocking_sends_work_from_a_thread_and_fail_inside_a_runtime,
                workers_share_the_load_and_keep_each_peers_order,
                a_failed_bind_leaves_nothing_open,
                a_channel_without_a_listener_only_connects,
            }
        }
    };
}

/// The cases about a runtime of the system's network, the transport on it, and the examples. The
/// host is a [`SystemHost`].
#[macro_export]
macro_rules! runtime_suite {
    ($host:ty) => {
        $crate::cases! { $host:
            datagrams::{
                batches_arrive_whole_and_in_order_over_ipv4,
                batches_arrive_whole_and_in_order_over_ipv6,
                the_longest_datagrams_are_received_whole,
                no_wake_up_is_lost_between_threads,
                a_wildcard_socket_tells_the_address_asked_and_answers_from_it,
                an_ipv6_wildcard_socket_tells_the_address_asked,
                a_dual_stack_socket_shows_ipv4_as_ipv4,
                both_families_share_a_port,
                an_unreachable_port_is_reported_with_its_destination,
                an_unreachable_ipv6_port_is_reported_with_its_destination,
                an_unreachable_port_harms_no_other_peer,
                an_unreachable_port_wakes_who_waits_once,
                a_datagram_that_cannot_go_is_reported_and_the_others_go,
                waiting_for_room_to_send_ends,
                sockets_with_reuse_port_share_an_address,
                datagrams_are_had_on_a_socket_that_a_thread_outside_the_runtime_bound,
            }
            runtime::{
                a_stream_carries_bytes_both_ways_and_ends,
                a_full_stream_would_block_until_it_is_read,
                a_refused_connection_is_an_error,
                a_stream_opens_to_a_listener_of_a_thread_outside_the_runtime,
                who_waits_for_room_wakes_though_others_try,
                a_timer_goes_off_when_its_time_has_come_and_again_when_reset,
                lookup_answers_for_numbers_and_localhost_and_fails_for_invalid,
                the_local_address_is_the_one_the_system_sends_from,
                seeds_differ,
            }
            threads::{
                each_worker_runs_on_a_runtime_and_thread_of_its_own,
                a_blocking_send_ends_when_its_runtime_does,
                binding_outside_a_runtime_is_an_error,
            }
            examples::{
                quickstart_carries_a_request_and_its_response_over_every_channel,
                quickstart_shows_placeholders_before_and_addresses_after_substitution,
                quickstart_tells_why_a_hint_was_overruled,
                ping_counts_what_the_responder_answers_and_the_responder_ends_when_interrupted,
                ping_fails_if_nothing_comes_back,
            }
        }
    };
}
