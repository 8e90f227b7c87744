//! The kernel side of the data plane: core-pinned io_uring workers. The only `unsafe` of the product.
