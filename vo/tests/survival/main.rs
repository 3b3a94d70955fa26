//! What a drone sees between take-off and landing, that the estimator outlives it, and what the doctor says of it.
#![expect(clippy::unwrap_used, reason = "a test may fall over")]

mod blinded;
mod diagnosed;
mod disturbed;
mod flown;
mod hover;
mod scene;
mod turning;
