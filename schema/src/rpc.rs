//! The two shapes that every method has: a request that is sent, and a request that is answered.

/// Sends a request over a [`crate::link::Link`], again if the connection was lost, and reads the outcome.
/// `$fill` writes the parameters into `$params`; `$read` converts the answer.
macro_rules! request {
    ($self:ident, $call:ident, $method:ident, |$params:ident| $fill:expr, $read:expr) => {
        $crate::rpc::request!(call: $self, $call, $method, |$params| $fill, $read)
    };
    ($way:ident: $self:ident, $call:ident, $method:ident, |$params:ident| $fill:expr, $read:expr) => {
        $self.link.$way($call, |attempt| {
            let mut request = attempt.client.$method();
            #[allow(unused_mut, unused_variables)]
            let mut $params = request.get();
            $call.write($params.reborrow().init_call());
            $fill;
            async move {
                let response = request.send().promise.await?;
                Ok($crate::wire::read_outcome(response.get()?.get_outcome()?, $read))
            }
        })
    };
}

/// Answers a request: reads the `Call`, runs `$body` (a `Result` with a [`crate::Failure`]) inside the
/// request's tracing span, counts it, and writes the outcome with `$write`. What changes something has a line in the log,
/// and so has what fails.
macro_rules! answer {
    ($params:ident, $results:ident, $method:literal, |$call:ident, $p:ident| $body:expr, $write:expr) => {{
        let $p = $params.get()?;
        let answer = match $crate::Call::read($p.get_call()) {
            Err(failure) => Err(failure),
            Ok($call) => {
                tracing::Instrument::instrument(
                    async {
                        let running = $crate::calls::Running::begin($method);
                        let answer = async { $body }.await;
                        let us = u64::try_from(running.end(&answer).as_micros()).unwrap_or(u64::MAX);
                        match &answer {
                            Ok(_) if $crate::calls::looks($method) => tracing::debug!(us, "done"),
                            Ok(_) => tracing::info!(us, "done"),
                            Err(failure) => tracing::info!(us, code = ?failure.code, %failure, "failed"),
                        }
                        answer
                    },
                    $call.span($method),
                )
                .await
            }
        };
        $crate::wire::write_outcome($results.get().init_outcome(), answer, $write);
        Ok(())
    }};
}

/// Implements the bootstrap's `hello` for a wrapper that holds an `about`.
macro_rules! answer_hello {
    ($wrapper:ident, $api:ident) => {
        impl<A: $api> $crate::bindings::common_capnp::service::Server for $wrapper<A> {
            async fn hello(
                self: std::rc::Rc<Self>,
                _params: $crate::bindings::common_capnp::service::HelloParams,
                mut results: $crate::bindings::common_capnp::service::HelloResults,
            ) -> Result<(), capnp::Error> {
                $crate::wire::Wire::write(&self.about, results.get().init_about());
                Ok(())
            }
        }
    };
}

/// What a service answers to a method that it does not implement.
pub(crate) fn missing(method: &str) -> crate::Failure {
    crate::Failure::unimplemented(format_args!("this service does not implement {method}"))
}

pub(crate) use {answer, answer_hello, request};
