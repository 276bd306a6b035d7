//! Follows runs and traces while they happen, through lost connections and restarts of the server.
//!
//! Not here: showing them. The surprise: nothing has to be resumed. Every stream begins with all
//! there is, and every event holds the whole of what changed, so a follower that was away simply
//! begins again.

use std::time::Duration;

use crate::{Client, Error, Run, Span, Trace, sse::Events};

/// Yields a run each time it changes; the last one given is final.
///
/// It listens to the server's event stream. Where that is not to be had (a proxy that buffers, a
/// server that is restarting) it asks again and again instead.
pub struct RunFollower {
    client: Client,
    id: String,
    patience: Duration,
    stream: Option<Events>,
    last: Option<Run>,
}

/// How often a run is read where there is no stream.
const POLL: Duration = Duration::from_millis(500);

impl std::fmt::Debug for RunFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunFollower").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RunFollower {
    pub(crate) fn new(client: Client, id: String) -> Self {
        Self { client, id, patience: Duration::from_secs(30), stream: None, last: None }
    }

    /// How long an unreachable server is waited for; 30 seconds at first.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The run, as soon as it differs from the one given before; none after its final state.
    ///
    /// # Errors
    /// The run is unknown, or the server stayed unreachable for longer than the patience.
    pub async fn next(&mut self) -> Option<Result<Run, Error>> {
        if self.last.as_ref().is_some_and(|run| run.state.is_final()) {
            return None;
        }
        let mut unreachable_for = Duration::ZERO;
        loop {
            let run = match self.look().await {
                Ok(Some(run)) => run,
                Ok(None) => continue,
                Err(error) if error.is_unreachable() && unreachable_for < self.patience => {
                    unreachable_for += POLL;
                    pause(POLL).await;
                    continue;
                }
                Err(error) => return Some(Err(error)),
            };
            unreachable_for = Duration::ZERO;
            if self.last.as_ref() != Some(&run) {
                self.last = Some(run.clone());
                return Some(Ok(run));
            }
        }
    }

    /// The run as the stream has it; none if there is nothing new yet. A stream starts with the
    /// run as it is, so nothing is missed between one stream and the next.
    async fn look(&mut self) -> Result<Option<Run>, Error> {
        let Some(stream) = &mut self.stream else {
            return match self.client.run_events(&self.id).await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    Ok(None)
                }
                // Not there, or not reachable: say so. Any other answer: go on without a stream.
                Err(error) if error.is_unreachable() || error.status() == Some(404) => Err(error),
                Err(_) => ask_after(POLL, &self.client, &self.id).await,
            };
        };
        match stream.next().await {
            Some(Ok(event)) => Ok(serde_json::from_str(&event.data).ok()),
            Some(Err(_)) | None => {
                self.stream = None;
                ask_after(POLL / 5, &self.client, &self.id).await
            }
        }
    }
}

/// Yields the spans of a trace as they open, change and end; at first, all there are.
///
/// After a lost connection spans may be given again. It has no end: a trace may always go on.
pub struct TraceFollower {
    client: Client,
    id: String,
    patience: Duration,
    stream: Option<Events>,
}

impl std::fmt::Debug for TraceFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceFollower").field("id", &self.id).finish_non_exhaustive()
    }
}

impl TraceFollower {
    pub(crate) fn new(client: Client, id: String) -> Self {
        Self { client, id, patience: Duration::from_secs(30), stream: None }
    }

    /// The spans that are new or changed.
    ///
    /// # Errors
    /// The server stayed unreachable, or the trace unknown, for longer than 30 seconds.
    pub async fn next(&mut self) -> Result<Vec<Span>, Error> {
        let mut waited = Duration::ZERO;
        loop {
            let Some(stream) = &mut self.stream else {
                match self.client.trace_events(&self.id).await {
                    Ok(stream) => self.stream = Some(stream),
                    // A trace is stored a moment after its run is known.
                    Err(error) if error.is_unreachable() || error.status() == Some(404) => {
                        if waited >= self.patience {
                            return Err(error);
                        }
                        waited += POLL;
                        pause(POLL).await;
                    }
                    // No stream is to be had; the trace may be.
                    Err(_) => {
                        pause(POLL).await;
                        return Ok(self.client.trace(&self.id).await?.spans);
                    }
                }
                continue;
            };
            match stream.next().await {
                Some(Ok(event)) if event.name == "spans" => {
                    let body = serde_json::from_str(&event.data);
                    if let Ok(trace) = body.and_then(Trace::from_otlp) {
                        return Ok(trace.spans);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.stream = None;
                    pause(POLL / 5).await;
                }
            }
        }
    }
}

/// No method: a stream cannot be shared, so a future that holds `&self` could not be sent.
async fn ask_after(wait: Duration, client: &Client, id: &str) -> Result<Option<Run>, Error> {
    pause(wait).await;
    client.run(id).await.map(Some)
}

#[expect(clippy::disallowed_methods, reason = "a client has no run that could be cancelled")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn run(state: &str, steps: u32) -> String {
        json!({"id": "r1", "resource": "clusters/idg", "generation": 1, "plan": "create_cluster",
               "state": state, "trace_id": "t", "span_id": "s", "iterations": 1, "steps": steps,
               "attempts": 1, "created_at": "2026-01-01T00:00:00Z"})
        .to_string()
    }

    fn stream(events: &[String]) -> String {
        let body: String =
            events.iter().map(|data| format!("event: run\ndata: {data}\n\n")).collect();
        answer("200 OK", "text/event-stream", &body)
    }

    fn plain(body: &str) -> String {
        answer("200 OK", "application/json", body)
    }

    fn answer(status: &str, kind: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    }

    /// Gives each connection the next answer; returns the address and the paths asked for.
    async fn server(answers: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = socket.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]);
                let path = request.split(' ').nth(1).unwrap().to_owned();
                log.lock().unwrap().push(path);
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (base, asked)
    }

    async fn follow(base: &str) -> Result<Vec<(String, u32)>, Error> {
        let mut follower = Client::new(base)?.follow("r1").patience(Duration::from_secs(1));
        let mut seen = Vec::new();
        while let Some(run) = follower.next().await {
            let run = run?;
            seen.push((run.state.to_string(), run.steps));
        }
        Ok(seen)
    }

    #[tokio::test]
    async fn a_broken_stream_is_taken_up_again_and_nothing_is_told_twice() {
        let (base, asked) = server(vec![
            stream(&[run("running", 1)]),
            plain(&run("running", 2)),
            stream(&[run("running", 2), run("converged", 3)]),
        ])
        .await;
        let seen = follow(&base).await.unwrap();
        let expected = [("running", 1), ("running", 2), ("converged", 3)];
        assert_eq!(seen, expected.map(|(state, steps)| (state.to_owned(), steps)));
        assert_eq!(asked.lock().unwrap()[..2], ["/v1/runs/r1/events", "/v1/runs/r1"]);
    }

    #[tokio::test]
    async fn without_a_stream_the_run_is_asked_for_again_and_again() {
        let refused = || answer("503 Service Unavailable", "text/html", "<h1>no</h1>");
        let (base, _) =
            server(vec![refused(), plain(&run("running", 1)), refused(), plain(&run("failed", 1))])
                .await;
        let seen = follow(&base).await.unwrap();
        assert_eq!(seen, [("running".to_owned(), 1), ("failed".to_owned(), 1)]);
    }

    #[tokio::test]
    async fn an_unknown_run_is_an_error_at_once_and_a_dead_server_after_the_patience() {
        let problem = json!({"type": "about:blank", "title": "Not Found", "status": 404,
                             "detail": "there is no run r1", "trace_id": "abc"});
        let (base, _) =
            server(vec![answer("404 Not Found", "application/problem+json", &problem.to_string())])
                .await;
        let error = follow(&base).await.unwrap_err();
        assert_eq!(
            (error.to_string(), error.trace_id()),
            ("there is no run r1".into(), Some("abc"))
        );

        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(follow(&format!("http://{gone}")).await.unwrap_err().is_unreachable());
    }
}
