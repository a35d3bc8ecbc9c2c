//! Location of SIP servers, RFC 3263 with RFC 2782 (SRV), by a state machine without I/O.
//!
//! [`Resolver::start`] takes a [`Question`] (the facts of a next hop's URI) and the
//! [`Capabilities`] for sending. It returns the result at once, or requests DNS lookups by
//! [`Resolver::poll_output`], whose answers are passed to [`Resolver::answer`]. The result is an
//! ordered list of [`Target`]s, each with its [`Reason`].
//!
//! All lookups known to be needed are made in parallel, and every wait has a limit, so a plan takes
//! about two round trips and at most [`ResolveConfig::plan_timeout`]. Targets are a function of
//! question, configuration, seed and answers, in whatever order the answers arrive.
//!
//! Decisions where the RFCs leave room:
//!
//! - NAPTR records of the first order that leads to a target are used, those of later orders are
//!   not (RFC 3403 §4.1), unless [`ResolveConfig::later_orders`] says so. Unusable records are
//!   treated as absent (RFC 3263 §4.1).
//! - For `sip`, a NAPTR lookup that fails is treated as one without records. Any other failed
//!   lookup yields no target, and if there is no target from another lookup either, the plan fails
//!   with the name of the lookup.
//! - `localhost` is the loopback address, and names under `invalid` do not exist; neither is looked
//!   up (RFC 6761 §6.3, §6.4). Whoever answers lookups follows CNAMEs and reads the hosts file, and
//!   must not apply a search list.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use sip_transport_proto::Tokens;
//! use sip_transport_proto::resolve::{
//!     Answer, Capabilities, LookupKind, Progress, Question, Record, ResolveConfig, ResolveOutput,
//!     Resolver,
//! };
//! use sip_transport_proto::sip_core::uri::SipUri;
//!
//! let now = Instant::now();
//! let mut resolver = Resolver::new(ResolveConfig::default());
//! let question = Question::from_uri(&SipUri::parse(b"sip:bob@example.com:5080")?)?;
//! let progress = resolver.start(now, question, Capabilities::ALL, &mut Tokens::new([7; 32]));
//! assert!(matches!(progress, Progress::Waiting(_)));
//!
//! let mut plans = Vec::new();
//! while let Some(output) = resolver.poll_output() {
//!     match output {
//!         ResolveOutput::Lookup { id, kind: LookupKind::A, .. } => {
//!             let records = vec![Record::Address([192, 0, 2, 1].into())];
//!             let ttl = Duration::from_secs(60);
//!             resolver.answer(now, id, Answer::Found { records, ttl });
//!         }
//!         ResolveOutput::Lookup { id, .. } => resolver.answer(now, id, Answer::NotFound { ttl: None }),
//!         ResolveOutput::Planned { result, .. } => plans.push(result?),
//!         _ => {}
//!     }
//! }
//! assert_eq!(plans[0][0].to_string(), "udp:192.0.2.1:5080 (default; A example.com)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod dns;
pub(crate) mod expiring_map;
mod ids;
mod name;
mod plan;
mod procedure;
mod question;
mod records;
mod resolver;
mod target;
mod turns;
mod weights;
mod zone;

pub use crate::protocol::Family;
pub use config::ResolveConfig;
pub use dns::ResolveStats;
pub use ids::LookupId;
pub use ids::PlanId;
pub use name::DomainName;
pub use question::{Capabilities, Question};
pub use records::{Answer, LookupKind, NaptrRecord, Record, SrvRecord};
pub use resolver::Progress;
pub use resolver::ResolveOutput;
pub use resolver::Resolver;
pub use target::{AddressRule, PlanError, ProtocolRule, Reason, SrvChoice, Target};
pub use zone::{Zone, ZoneError};

pub(crate) use resolver::mark_races;
