//! Builders of requests and responses that fill the mandatory headers.
