//! adapter-core
