"""A Zipkin client library sends spans; what is read back by Zipkin's API equals what it sent.

FIXPOINT_ZIPKIN says where a server listens. What was sent is what passed the client's transport.
"""

import json
import os
import urllib.request

import pytest
from py_zipkin import Encoding, Kind
from py_zipkin.transport import BaseTransportHandler
from py_zipkin.util import generate_random_64bit_string, generate_random_128bit_string
from py_zipkin.zipkin import ZipkinAttrs, zipkin_client_span, zipkin_span

ZIPKIN = os.environ["FIXPOINT_ZIPKIN"]


class Transport(BaseTransportHandler):
    """Sends as a reporter does, and keeps what it sent."""

    def __init__(self):
        self.sent = []

    def get_max_payload_bytes(self):
        return None

    def send(self, payload):
        self.sent.extend(json.loads(payload))
        request = urllib.request.Request(
            f"{ZIPKIN}/api/v2/spans",
            payload.encode() if isinstance(payload, str) else payload,
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 202


def get(path):
    with urllib.request.urlopen(f"{ZIPKIN}{path}") as answer:
        return json.load(answer)


def comparable(spans):
    """Spans by id, their annotations by time: neither order means anything in Zipkin."""
    for span in spans:
        span.get("annotations", []).sort(key=lambda it: (it["timestamp"], it["value"]))
    return sorted(spans, key=lambda span: span["id"])


@pytest.mark.parametrize(
    "new_trace_id", [generate_random_128bit_string, generate_random_64bit_string]
)
def test_spans_arrive_as_they_were_sent(new_trace_id):
    transport, trace_id = Transport(), new_trace_id()
    attrs = ZipkinAttrs(trace_id, generate_random_64bit_string(), None, None, True)
    with zipkin_span(
        service_name="shop",
        span_name="get /cart",
        transport_handler=transport,
        zipkin_attrs=attrs,
        port=8080,
        host="10.0.0.1",
        encoding=Encoding.V2_JSON,
        kind=Kind.SERVER,
        binary_annotations={"http.method": "GET", "grüße": "世界", "empty": ""},
    ) as root:
        root.add_annotation("cache miss")
        with zipkin_client_span("shop", "select cart") as call:
            call.add_sa_binary_annotation(5432, "postgres", "10.0.0.2")
        with pytest.raises(ValueError), zipkin_span("shop", "price"):
            raise ValueError("no such article")
        with zipkin_span("shop", "notify", kind=Kind.PRODUCER):
            pass

    assert len(transport.sent) == 4
    read = get(f"/api/v2/trace/{trace_id}")
    # A 64-bit id is one of 128 bits with zeros in front.
    sent = [{**span, "traceId": span["traceId"].zfill(32)} for span in transport.sent]
    read = [{**span, "traceId": span["traceId"].zfill(32)} for span in read]
    assert comparable(read) == comparable(sent)
