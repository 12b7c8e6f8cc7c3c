"""A WSGI application, which imports another module when it is asked for it."""
import colorsys


def app(environ, start_response):
    if environ["PATH_INFO"] == "/wave":
        import wave
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]
