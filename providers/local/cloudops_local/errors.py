"""What the engine raises, as the errors of cloudops. One table."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudops.errors import AuthError, CloudopsError, Conflict, InvalidRequest, NoCapacity, NotFound, ProviderError

if TYPE_CHECKING:
    from cloudops.refs import Ref

_BY_ERRNO: dict[int, tuple[type[ProviderError], str]] = {
    errno.ENOSPC: (NoCapacity, "free some disk space and run again"),
    errno.EDQUOT: (NoCapacity, "free some of your disk quota and run again"),
    errno.EACCES: (AuthError, "fix the permissions"),
    errno.EPERM: (AuthError, "fix the permissions"),
    errno.EROFS: (AuthError, "the file system is read-only"),
    errno.EADDRINUSE: (Conflict, "choose another port"),
    errno.EMFILE: (NoCapacity, "raise the limit of open files (ulimit -n)"),
    errno.EAGAIN: (NoCapacity, "the machine has no more processes to give"),
    errno.ENOMEM: (NoCapacity, "the machine is out of memory"),
}


@contextmanager
def translated(operation: str, ref: Ref | None = None) -> Iterator[None]:
    """Turn the errors of the engine and of the operating system into those of cloudops; the cause is kept."""
    try:
        yield
    except CloudopsError:
        raise
    except LookupError as error:
        raise NotFound(_text(error), provider="local", operation=operation, ref=ref) from error
    except FileNotFoundError as error:
        if error.errno is None:  # the engine's: there is no such job
            hint = "its folder was removed by hand; `cloudops down` deletes what is left of it"
            raise NotFound(_text(error), provider="local", operation=operation, ref=ref, hint=hint) from error
        raise _of_system(error, operation, ref) from error
    except OSError as error:
        raise _of_system(error, operation, ref) from error
    except ValueError as error:
        raise InvalidRequest(_text(error), provider="local", operation=operation, ref=ref) from error
    except RuntimeError as error:
        raise Conflict(_text(error), provider="local", operation=operation, ref=ref) from error


def _of_system(error: OSError, operation: str, ref: Ref | None) -> ProviderError:
    kind, hint = _BY_ERRNO.get(error.errno or 0, (ProviderError, None))
    code = errno.errorcode.get(error.errno or 0)
    where = error.filename or (f"/{ref.scope}" if ref is not None else "")
    message = f"{operation}: {error.strerror or error}{f': {where}' if where else ''}"
    return kind(message, code=code, provider="local", operation=operation, ref=ref, hint=hint)


def _text(error: Exception) -> str:
    return str(error.args[0]) if error.args else str(error)
