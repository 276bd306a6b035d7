//! Binds the listeners on which other programs' spans come in.
//!
//! Not here: what is taken in (`fixpoint_server::Receivers`). The surprise: a standard port that
//! somebody else has, another collector most likely, costs only that receiver and is told. A port
//! that was asked for is another matter.

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use fixpoint_server::{Protocol, Receivers};
use tokio::net::TcpListener;

use crate::error::{CliError, Result};

/// Where a receiver is to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On its standard port, for this machine only; nowhere if that is taken.
    Standard,
    /// There, or the server does not start.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Place {
    /// The address that was asked for.
    pub(crate) fn address(self) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Standard | Self::Off => None,
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| "ADDRESS:PORT or off is wanted".into()),
        }
    }
}

/// What became of the receivers that were wanted.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) receivers: Receivers,
    /// Those that listen.
    pub(crate) on: Vec<(Protocol, SocketAddr)>,
    /// Those that do not though they should: why not, and what to do.
    pub(crate) off: Vec<String>,
}

/// Binds what is wanted.
///
/// # Errors
/// If an address that was asked for cannot be listened on.
pub(crate) async fn bind(wanted: &[(Protocol, Place)]) -> Result<Bound> {
    let mut bound = Bound::default();
    for &(protocol, place) in wanted {
        let address = match place {
            Place::Standard => SocketAddr::from((Ipv4Addr::LOCALHOST, protocol.port())),
            Place::At(address) => address,
            Place::Off => continue,
        };
        let hint = format!("choose another address with --{protocol}; port 0 takes a free one");
        let listener = TcpListener::bind(address).await;
        match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => {
                bound.on.push((protocol, address));
                bound.receivers = bound.receivers.listen(protocol, listener);
            }
            Err(error) if place == Place::Standard => {
                let why = format!("{protocol} is off: cannot listen on {address}: {error}; {hint}");
                bound.off.push(why);
            }
            Err(error) => {
                let what = format!("cannot listen on {address} for {protocol}");
                return Err(CliError::because(what, error).hint(hint));
            }
        }
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_that_was_asked_for_is_an_error_with_a_hint() {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = holder.local_addr().unwrap();
        let error = bind(&[(Protocol::Zipkin, Place::At(taken))]).await.unwrap_err();
        let said = format!("{error:?}");
        assert!(said.contains(&format!("cannot listen on {taken} for zipkin")), "{said}");
        assert!(said.contains("--zipkin"), "{said}");
    }

    #[tokio::test]
    async fn a_taken_standard_port_turns_only_that_receiver_off() {
        // Somebody else may have the port already; either way it is taken.
        let _holder = TcpListener::bind(("127.0.0.1", Protocol::OtlpHttp.port())).await;
        let free = Place::At("127.0.0.1:0".parse().unwrap());
        let wanted = [
            (Protocol::OtlpGrpc, free),
            (Protocol::OtlpHttp, Place::Standard),
            (Protocol::Zipkin, Place::Off),
        ];
        let bound = bind(&wanted).await.unwrap();
        assert_eq!(bound.on.len(), 1);
        assert_eq!(bound.on[0].0, Protocol::OtlpGrpc);
        assert_ne!(bound.on[0].1.port(), 0);
        assert_eq!(bound.off.len(), 1);
        assert!(bound.off[0].contains("--otlp-http"), "{:?}", bound.off);
    }

    #[test]
    fn a_place_is_an_address_or_off() {
        assert_eq!("off".parse(), Ok(Place::Off));
        assert_eq!("[::1]:4317".parse(), Ok(Place::At("[::1]:4317".parse().unwrap())));
        assert!("4317".parse::<Place>().is_err());
    }
}
