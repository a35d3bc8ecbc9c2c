//! The behaviour of a transport, case by case, written once over a [`Host`].
//!
//! A test file names a host and gets every case as a test:
//!
//! ```ignore
//! testkit::suite!(testkit::suite::MemoryHost);
//! testkit::adapter_suite!(testkit::suite::MemoryHost);
//! ```
//!
//! [`runtime_suite!`](crate::runtime_suite) adds those about the runtime itself. A second host of one runtime has
//! [`crossing_suite!`](crate::crossing_suite) in place of the whole.
//!
//! No case sleeps: each waits for what must come, and a case that waits too long fails.

mod adapter;
pub mod cases;
mod counting;
mod host;
mod memory;
mod messages;
mod simulated;
mod stream_peer;
mod system;
mod trust;
mod udp_peer;
mod wait;

pub use adapter::{Adapter, AdapterHost};
pub use counting::Counting;
pub use host::{Endpoint, Family, Host, Place, Setup};
pub use memory::MemoryHost;
pub use messages::{body_of_length, reply, request, request_to, text, via};
pub use simulated::{FacadeHost, Simulate, Simulated, SimulatedHost, SplitHost};
pub use sip_transport_proto::Protocol;
pub use stream_peer::{StreamPeer, frame};
pub use system::{OnSystem, SystemHost};
pub use trust::{authority, channel, server_at, server_with, stranger};
pub use udp_peer::UdpPeer;
pub use wait::{join, next_closed, next_malformed, next_opened, next_request, next_response};

/// A test for each named case: `cases!(Host: module::{case, case})`.
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

/// A test for each named case over each protocol:
/// `cases_over!(name of the module [tcp Tcp, tls Tls] Host: { module::{case, case} })`.
#[doc(hidden)]
#[macro_export]
macro_rules! cases_over {
    ($outer:ident [$($name:ident $protocol:ident),+] $host:ty: $cases:tt) => {
        mod $outer {
            #[allow(unused_imports, reason = "the host may be named by its whole path")]
            use super::*;
            $(mod $name {
                #[allow(unused_imports, reason = "see above")]
                use super::*;
                $crate::cases_over! { @$protocol $host: $cases }
            })+
        }
    };
    (@$protocol:ident $host:ty: { $($module:ident::{$($case:ident),+ $(,)?})+ }) => {$($(
        #[test]
        fn $case() {
            <$host as $crate::suite::Host>::run(async |host: &$host| {
                let protocol = $crate::suite::Protocol::$protocol;
                $crate::suite::cases::$module::$case(host, protocol).await;
            });
        }
    )+)+};
}

/// The cases that every host can show.
#[macro_export]
macro_rules! suite {
    ($host:ty) => {
        $crate::crossing_suite!($host);
        $crate::cases! { $host:
            substitution::{
                a_reply_names_the_address_that_its_request_came_to,
                from_gets_the_host_only_and_the_rest_stays,
                what_is_advertised_changes_while_running,
            }
            responses::{
                a_response_over_udp_goes_where_via_and_source_say,
                a_response_over_udp_reaches_a_client_behind_a_nat,
                a_response_over_udp_reaches_an_ipv6_client,
                a_response_over_udp_reaches_its_client_whatever_is_hinted,
            }
            size::{
                a_large_request_goes_over_tcp_to_the_same_port,
                a_large_request_goes_over_udp_where_nobody_takes_tcp,
            }
            hints::{
                a_channel_hint_is_honoured_or_overruled_with_the_reason,
            }
            channels::{
                a_channel_can_be_added_while_running,
                a_removed_channel_closes_its_connections_and_frees_its_address,
                a_channel_that_only_sends_is_made_on_demand,
                without_a_channel_and_none_to_be_made_a_send_fails,
            }
            receiving::{
                a_malformed_request_gets_one_400_over_udp,
                a_malformed_ack_or_response_gets_no_reply,
                a_response_to_nobody_is_dropped,
                an_unreachable_port_is_told_of_once,
            }
            resolving::{
                a_server_that_is_not_there_is_left_for_the_next,
            }
            keeping::{
                a_kept_udp_flow_is_told_its_mapped_address,
                a_kept_udp_flow_to_nobody_is_dead,
            }
            limits::{
                the_peer_behind_for_longest_makes_room_for_bytes,
                a_cancel_and_its_answers_keep_their_order_over_udp,
                a_source_over_its_rate_is_told_of_once,
            }
            multicast::{
                a_request_to_a_group_is_answered_over_the_group,
            }
            proxying::{
                whom_a_trusted_load_balancer_names_is_the_peer,
            }
            strangers::{
                who_speaks_another_protocol_is_closed_and_others_are_served,
            }
        }
        $crate::cases_over! { over_streams [tcp Tcp, tls Tls, ws Ws, wss Wss] $host: {
            substitution::{
                placeholders_become_the_address_used_towards_each_peer,
            }
            responses::{
                a_response_goes_back_over_the_connection_of_its_request,
                a_response_whose_connection_is_gone_opens_another_where_that_is_possible,
                a_response_never_goes_to_a_newcomer,
                a_response_reaches_an_ipv6_client,
                a_response_reaches_its_client_whatever_is_hinted,
                a_response_goes_to_the_sent_by_where_that_is_allowed_and_its_source_is_not_there,
            }
            hints::{
                a_connection_hint_wins_over_the_destination,
                a_closed_connection_hint_is_overruled,
            }
            receiving::{
                a_message_that_cannot_be_read_gets_one_400,
                a_ping_gets_one_pong,
            }
            resolving::{
                a_send_goes_on_to_the_next_server_of_its_domain,
                a_server_is_reached_by_the_family_that_answers,
            }
            keeping::{
                a_kept_connection_is_pinged_and_each_ping_answered,
            }
            limits::{
                an_address_at_its_limit_replaces_its_own_silent_connections_unless_it_is_exempt,
                who_holds_most_makes_room_and_the_trusted_last,
                the_application_decides_who_may_connect,
                a_stranger_who_fills_the_room_for_receiving_makes_room_for_others,
                what_is_queued_stays_as_it_was_sent,
                a_cancel_and_its_answers_keep_their_order_over_streams,
            }
            callbacks::{
                an_accept_filter_that_panics_refuses_the_connection,
            }
        }}
        $crate::cases_over! { all [udp Udp, tcp Tcp, tls Tls, ws Ws, wss Wss] $host: {
            callbacks::{
                a_tap_that_panics_stops_no_message,
                a_header_hook_that_panics_fails_its_send_and_no_other,
            }
            watching::{
                each_message_is_shown_once_with_its_bytes_and_end_points,
                what_is_broken_or_not_ours_is_shown_and_so_is_the_reply_to_it,
            }
        }}
        $crate::cases_over! { plain [udp Udp, tcp Tcp] $host: {
            sloppy::{
                what_is_sloppy_is_delivered_and_answered,
            }
        }}
        $crate::cases_over! { handshakes [tls Tls, ws Ws, wss Wss] $host: {
            handshakes::{
                a_peer_that_leaves_during_the_handshake_ends_that_connection_only,
                a_removed_channel_ends_its_handshakes,
                a_silent_client_is_closed_at_the_deadline_while_others_are_served,
                a_server_that_does_not_answer_fails_the_sends_that_wait,
                a_crowd_of_stalled_handshakes_is_bounded_and_ends_at_the_deadline,
                both_sides_take_leave,
            }
        }}
        $crate::cases_over! { security [tls Tls, wss Wss] $host: {
            security::{
                another_name_at_the_same_address_opens_another_connection,
                a_certificate_for_both_names_shares_the_connection,
                what_needs_tls_never_leaves_on_a_plain_connection,
                a_sips_route_protects_a_sip_request,
                a_contact_says_no_transport_tls_where_that_is_left_out,
                a_bad_certificate_fails_the_sends_that_wait_and_nothing_else,
                a_client_is_known_by_its_certificate,
                a_client_without_a_required_certificate_is_refused,
                a_send_with_its_own_tls_configuration_shares_connections_with_its_like_only,
                what_a_channel_without_verification_has_opened_carries_nothing_of_another,
                certificates_are_replaced_while_connections_stay,
                a_client_resumes_its_session,
                a_server_lets_clients_resume_their_sessions,
            }
        }}
        $crate::cases_over! { websocket [ws Ws, wss Wss] $host: {
            callbacks::{
                an_upgrade_check_that_panics_is_answered_with_500,
            }
            websocket::{
                a_refused_upgrade_is_answered_and_closed,
                an_upgrade_that_the_server_refuses_fails_the_sends_that_wait,
                two_messages_in_one_frame_get_one_400,
                a_message_that_is_no_sip_is_told_of_and_never_delivered,
                a_message_in_many_fragments_comes_whole,
                the_length_of_a_message_may_be_missing_and_must_not_be_wrong,
                a_response_comes_back_in_the_kind_of_its_request_but_binary_if_not_utf8,
                a_call_of_a_browser_goes_both_ways_without_a_lookup,
            }
        }}
    };
}

/// Those of [`suite!`](macro@crate::suite) about messages that cross, and the life of what carries them: what a second host
/// of a runtime shows too. What is decided above the sockets, such as names, hints and limits, is the same on both.
#[macro_export]
macro_rules! crossing_suite {
    ($host:ty) => {
        $crate::cases! { $host:
            exchange::{
                a_request_and_its_response_cross_over_udp_and_ipv4,
                a_request_and_its_response_cross_over_udp_and_ipv6,
                the_largest_datagram_arrives_whole,
                a_message_larger_than_a_datagram_is_refused_and_given_back,
            }
        }
        $crate::cases_over! { streams [tcp Tcp, tls Tls, ws Ws, wss Wss] $host: {
            exchange::{
                a_request_and_its_response_cross_over_ipv4,
                a_request_and_its_response_cross_over_ipv6,
                pipelined_requests_come_in_order,
                a_message_cut_anywhere_comes_whole,
            }
            connections::{
                a_connection_is_used_again_until_it_closes,
                a_refused_connection_is_reported_with_the_message_back,
                closing_a_connection_tells_both_sides_why,
                a_send_that_waits_for_a_connection_ends_once,
                peers_that_send_and_leave_at_once_are_heard,
            }
            life::{
                shutdown_writes_what_is_queued_and_ends_later_sends,
            }
        }}
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
                the_accept_filter_holds_no_lock,
                while_events_are_not_read_few_connections_are_accepted,
                sending_within_the_receive_loop_never_deadlocks,
                every_send_ends_while_connections_come_and_go,
                a_resent_message_is_the_same_to_the_byte,
                every_datagram_that_cannot_go_is_told_of_once,
                a_removed_channel_sends_or_tells_of_what_was_queued,
                shutdown_ends_incoming_and_every_task,
                dropping_all_handles_leaves_no_task,
                dropping_incoming_discards_and_counts,
                incoming_alone_keeps_the_transport_alive,
                a_dropped_send_still_goes_out,
                a_plan_is_told_without_sending,
                what_is_not_bound_says_why,
                a_resolver_that_never_answers_ends_the_send_and_leaves_no_task,
                a_send_is_named_before_it_goes_out,
                the_end_of_a_started_send_is_one_event_and_of_others_none,
                the_next_target_is_a_send_like_any_other,
                blocking_sends_work_from_a_thread_and_fail_inside_a_runtime,
                workers_share_the_load_and_keep_each_peers_order,
                a_failed_bind_leaves_nothing_open,
                a_channel_without_a_listener_only_connects,
            }
        }
        $crate::cases_over! { adapters [tcp Tcp, tls Tls, ws Ws, wss Wss] $host: {
            adapters::{
                a_peer_that_never_reads_fills_its_queue_only,
                a_peer_that_never_reads_is_closed_in_time,
            }
        }}
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
            limits::{
                one_source_that_floods_leaves_others_their_answers,
            }
            name_servers::{
                a_name_server_that_lies_or_fails_is_bounded_and_harms_no_other_name,
                names_that_nobody_answers_have_few_sockets_and_hold_up_no_other,
            }
            capturing::{
                a_capture_over_tls_reaches_a_collector_whose_name_is_proved,
                a_dead_collector_loses_what_it_was_to_get_and_nothing_else,
                a_collector_that_comes_late_gets_what_waits,
                what_is_filtered_or_redacted_is_not_captured,
                files_are_rotated_by_size_and_the_last_are_kept,
                a_file_that_was_moved_away_is_begun_anew_and_old_ones_stay,
                a_capture_file_that_cannot_be_opened_says_why,
            }
            threads::{
                each_worker_runs_on_a_runtime_and_thread_of_its_own,
                a_blocking_send_ends_when_its_runtime_does,
                sends_that_wait_for_names_end_when_their_runtime_does,
                binding_outside_a_runtime_is_an_error_unless_it_is_anywhere,
            }
        }
        $crate::cases_over! { captures [udp Udp, tcp Tcp, tls Tls, ws Ws, wss Wss] $host: {
            capturing::{
                an_exchange_is_captured_by_hep_over_udp_and_tcp_and_in_a_file,
            }
        }}
        $crate::cases_over! { sends [udp Udp, tcp Tcp] $host: {
            named::{
                who_enters_a_send_before_it_goes_out_knows_every_response,
                who_enters_a_send_before_it_goes_out_knows_every_failure,
            }
        }}
    };
}

/// The cases about the examples, which run on a host of their own choosing. The host is a [`SystemHost`].
#[macro_export]
macro_rules! examples_suite {
    ($host:ty) => {
        $crate::cases! { $host:
            examples::{
                quickstart_carries_a_request_and_its_response_over_every_channel,
                quickstart_shows_placeholders_before_and_addresses_after_substitution,
                quickstart_tells_why_a_hint_was_overruled,
                ping_counts_what_the_responder_answers_and_the_responder_ends_when_interrupted,
                ping_fails_if_nothing_comes_back,
                ping_succeeds_with_the_status_that_is_expected_only,
                ping_shows_messages_and_who_asks_where_told_to,
                ping_goes_over_the_family_asked_for_only,
                ping_tells_connecting_from_the_handshake_and_names_what_would_trust_a_server,
                ping_names_dns_where_a_name_leads_nowhere,
                the_responder_answers_after_the_delay_asked_for,
            }
        }
    };
}
