"""A function of Panal: `handler` is called with the parameters of each call.

What it returns is the result: a text as it is, anything else as JSON. What it prints goes to the call's logs.
See `context` for the call itself: callNum, functionName, version, deadline, attempt.
"""


def handler(params, context):
    name = params.get("name", "world") if isinstance(params, dict) else "world"
    print(f"call {context.callNum} greets {name}")
    return {"greeting": f"Hello, {name}!"}
