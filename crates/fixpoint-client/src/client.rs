//! The typed client: one method for each call of the API.
