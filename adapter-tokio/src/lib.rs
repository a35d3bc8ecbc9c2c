//! adapter-tokio
