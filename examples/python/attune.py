"""Publishes feedback to a deployment of Attune, and reads from it: standard library and boto3.

    python attune.py outputs.json publish ada film-7 0.9
    python attune.py outputs.json recommend ada
"""

import base64
import hashlib
import json
import struct
import sys
import uuid
from datetime import datetime, timezone

import boto3


class AttuneError(Exception):
    """What the function says of a wrong request: code, field, found and expected."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code, self.field = error["code"], error.get("field")


class Attune:
    """A deployment, by the outputs that `cdk deploy --outputs-file` has written."""

    def __init__(self, outputs):
        with open(outputs, encoding="utf-8") as file:
            (self.outputs,) = json.load(file).values()
        self.sqs = boto3.client("sqs")
        self.functions = boto3.client("lambda")

    def publish(self, user_id, interactions, event_id=None):
        """Sends up to 100 interactions of a user as one event; the same event id counts once."""
        event = {
            "schemaVersion": 1,
            "eventId": event_id or str(uuid.uuid4()),
            "userId": user_id,
            "occurredAt": datetime.now(timezone.utc).isoformat(),
            "interactions": interactions,
        }
        self.sqs.send_message(
            QueueUrl=self.outputs["FeedbackQueueUrl"],
            MessageBody=json.dumps(event),
            # A group for each user keeps the user's order; the other id recognises what is sent twice.
            MessageGroupId=sha256(user_id),
            MessageDeduplicationId=sha256(f"{user_id}\0{event['eventId']}"),
        )
        return event["eventId"]

    def ask(self, request):
        """Any request of docs/reference/openapi.json, such as {"action": "recommend", "userId": "ada"}."""
        response = self.functions.invoke(
            FunctionName=self.outputs["PersonalizeFunctionName"], Payload=json.dumps(request)
        )
        answer = json.load(response["Payload"])
        if "FunctionError" in response:
            raise RuntimeError(f"the function failed: {answer}")
        if "error" in answer:
            raise AttuneError(answer["error"])
        return answer

    def recommend(self, user_id, limit=20, **choosing):
        return self.ask({"action": "recommend", "userId": user_id, "limit": limit, **choosing})

    def score(self, user_id, candidates):
        """Candidates are pairs of an item id and an embedding."""
        encoded = [{"itemId": item, "embedding": encode(vector)} for item, vector in candidates]
        return self.ask({"userId": user_id, "candidates": encoded})


def encode(vector):
    """An embedding as base64 of little-endian float32."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    outputs, command, user, *rest = sys.argv[1:]
    if command == "publish":
        print(Attune(outputs).publish(user, [{"itemId": rest[0], "reward": float(rest[1])}]))
    else:
        print(json.dumps(Attune(outputs).recommend(user)))
