//! N-API.
