import json
import sys

import attacks

print(json.dumps(attacks.run(json.load(sys.stdin))))
