import attacks


def handler(params, context):
    return attacks.run(params)
