//! Incoming card payments at Stripe: the payment, what is done with it afterwards, refunds, and the
//! customers who pay. Each is an operation of its own, because each is one call under one key.

mod change;
mod customer;
mod method;
mod payment;
mod refund;

pub use change::{Change, PaymentChange};
pub use customer::Customer;
pub use method::{MethodChange, PaymentMethod};
pub use payment::{Capture, Payment};
pub use refund::{Refund, RefundReason};
