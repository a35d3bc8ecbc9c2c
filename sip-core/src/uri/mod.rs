//! URIs: `sip`, `sips`, `tel`, and any other scheme kept as it came.
