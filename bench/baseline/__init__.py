"""The usual way, as a team would write it by hand: FastAPI takes the event, Celery on Redis delivers it with requests.

Made to be fast where its users can make it fast: uvicorn with uvloop and httptools, no result backend, no worker
events, one keep-alive session per worker process, a Redis that writes nothing to disk. So unlike TrackLayer it may
forget what it acknowledged when Redis stops. The settings come in as `BENCH_REDIS_URL` and `BENCH_RECEIVER_URL`.
"""
