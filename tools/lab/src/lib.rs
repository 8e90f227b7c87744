//! Where load tools measure: two network namespaces joined by a veth, packets by AF_XDP at the tool's end of it, and the processor time of
//! whoever is at the other.
#![allow(
    unsafe_code,
    reason = "AF_XDP, bpf(2) and namespaces are shared memory and raw system calls; it is no part of the product"
)]

pub mod bpf;
pub mod cpu;
pub mod lab;
pub mod trial;
pub mod udp;
pub mod wire;
mod xsk;
