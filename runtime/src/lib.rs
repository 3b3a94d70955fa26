//! The graph that flies.

pub mod graph;
