"""The tasks of Celery's worker, and the script that uses it: `celery_tasks.py` reads one JSON request per line, writes one answer per line.

Set up as https://docs.celeryq.dev advises where work must survive: acks_late, Redis with an append-only file as broker and result backend.
"""
import json
import os
import subprocess
import sys
import time

from celery import Celery, chord

url = os.environ['BENCH_REDIS']
app = Celery('celery_tasks', broker=url, backend=url)
app.conf.update(task_acks_late=True, result_expires=3600, broker_connection_retry_on_startup=True)


@app.task(name='run')
def run(argv):
    return subprocess.call(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@app.task(name='combine')
def combine(codes, argv):
    return run(argv)


def filled(argv, job):
    return [word.replace('{id}', job) for word in argv]


number = 0


def fresh():
    global number
    number += 1
    return 'BENCH_%d' % number


def submit(argv):
    job = fresh()
    began = time.time()
    result = run.delay(filled(argv, job))
    return job, began * 1e3, time.time() * 1e3, result


def do_run(argv, count):
    began = time.time()
    all_ = [submit(argv) for _ in range(count)]
    for *_, result in all_:
        result.get(timeout=200)
    return {'seconds': time.time() - began, 'accepted': [accepted - submitted for _, submitted, accepted, _ in all_]}


def do_watch(argv, count):
    watched = {'submitted': {}, 'accepted': {}, 'seen': {}}
    for _ in range(count):
        job, watched_submitted, accepted, result = submit(argv)
        result.get(timeout=200)
        watched['seen'][job] = time.time() * 1e3
        watched['submitted'][job] = watched_submitted
        watched['accepted'][job] = accepted
        time.sleep(0.01)
    return watched


def do_gather(argv, count):
    members = [run.s(filled(argv, fresh())) for _ in range(count)]
    chord(members)(combine.s(filled(argv, 'gather'))).get(timeout=200)
    return None


if __name__ == '__main__':
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {'value': globals()['do_' + request['do']](*request['with'])}
        except Exception as error:
            answer = {'error': '%s: %s' % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)
