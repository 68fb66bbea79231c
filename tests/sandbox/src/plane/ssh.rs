//! The SSH server: tunnels to databases, git over SSH.
