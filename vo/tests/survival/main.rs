//! What a drone sees between take-off and landing, and that the estimator outlives it.
#![expect(clippy::unwrap_used, reason = "a test may fall over")]

mod blinded;
mod disturbed;
mod flown;
mod hover;
mod scene;
mod turning;
