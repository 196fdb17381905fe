"""Middlewares: each is one rule that holds for all requests of an area.

They run in one flat loop, :class:`~smp.adapters.http.middleware.stack.MiddlewareStack`, because every nested ASGI
layer costs a coroutine and a wrapped ``send`` per request.
"""
