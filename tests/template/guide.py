"""The four templates of the custom destinations guide, word for word."""

from __future__ import annotations

PAYLOAD = """{
"type": "{{event_name}}",
"timestamp": "{{occurred_at}}",
"user": {
"email_hash": "{{user_data.email_hash}}",
"external_id": "{{user_data.external_id}}"
},
"order_id": "{{properties.order_id}}",
"value": "{{properties.value}}",
"currency": "{{properties.currency}}"
}"""

SLACK = """{
"text": "TrackLayer {{event_name}} for order {{properties.order_id}}",
"blocks": [
{
"type": "section",
"text": {
"type": "mrkdwn",
"text": "*{{event_name}}* from {{platform}} — value {{properties.value}} {{properties.currency}}"
}
}
]
}"""

REST = """{
"event_id": "{{event_id}}",
"event_name": "{{event_name}}",
"segment": "{{segment}}",
"customer": {
"id": "{{user_data.external_id}}",
"email_hash": "{{user_data.email_hash}}"
},
"properties": {{json properties}}
}"""

MIXPANEL = """{
"event": "{{event_name}}",
"properties": {
"time": "{{occurred_at}}",
"distinct_id": "{{user_data.external_id}}",
"$insert_id": "{{event_id}}",
"value": "{{properties.value}}",
"currency": "{{properties.currency}}"
}
}"""

ALL = {"payload": PAYLOAD, "slack": SLACK, "rest": REST, "mixpanel": MIXPANEL}
