//! TLS by the local CA, routing by host name, forced HTTPS.
