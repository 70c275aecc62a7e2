"""Run a command and print what it took: `launcher.py '{"NAME": "value"}' COMMAND...`.

A process of its own because a child counts the memory of whoever started it until it becomes itself.
"""

import json
import os
import resource
import subprocess
import sys
import time

environment, command = json.loads(sys.argv[1]), sys.argv[2:]
start = time.perf_counter()
done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.DEVNULL, check=False)
seconds = time.perf_counter() - start
unit = 1 if sys.platform == "darwin" else 1024
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak_bytes, processor_seconds = used.ru_maxrss * unit, used.ru_utime + used.ru_stime
print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes, "processor_seconds": processor_seconds}))
sys.exit(done.returncode)
