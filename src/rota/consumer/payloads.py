"""What becomes of a record's bytes: the type that the handler's annotation names, or what a deserialiser makes.

A value or key that cannot be decoded is a failure of its record, a `PayloadError`, raised before the handler is
called. Libraries (msgspec, pydantic, confluent's serialisation) are not imported here: whoever names their
types has done so.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, get_args, get_origin

from rota.consumer.clients.headers import headers_of
from rota.consumer.convert import converter, plain_type, type_name
from rota.consumer.core.policy import PayloadError
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.consumer.clients.client import Message

__all__ = ["Decoder", "Part", "annotated", "custom", "raw_key", "raw_value"]

Part: TypeAlias = Literal["value", "key"]
Decoder: TypeAlias = "Callable[[Message], Any]"


def raw_value(message: Message) -> bytes | None:
    """As it came."""
    return message.value()


def raw_key(message: Message) -> bytes | None:
    """As it came."""
    return message.key()


def annotated(kind: Any) -> Decoder | None:
    """What decodes the value to ``kind``, the T of ``Record[T]``; None if it stays bytes. Raises RotaError for
    a type that JSON cannot become.

    A record without a value (a tombstone) fits ``T | None`` only.
    """
    inner, may_be_none = _without_none(plain_type(kind))
    if plain_type(inner) in (bytes, Any, object):
        return None
    return _decoder(_parser(inner), "value", may_be_none=may_be_none, wanted=type_name(kind))


def custom(deserialiser: Any, part: Part) -> Decoder:
    """What decodes with a callable (bytes to anything) or one of confluent-kafka's deserialisers, which is also
    told topic and headers. A record without this part gives None.
    """
    option = f"{part}={getattr(deserialiser, '__name__', type(deserialiser).__name__)}"
    if not callable(deserialiser):
        raise RotaError(f"{option}: it must be a function from bytes, or one of confluent's deserialisers")
    if inspect.iscoroutinefunction(deserialiser) or inspect.iscoroutinefunction(
        getattr(deserialiser, "__call__", None)  # noqa: B004  # of the object, to see whether it is async
    ):
        raise RotaError(f"{option}: it is asynchronous; give one that returns what it made")
    confluent = sys.modules.get("confluent_kafka.serialization")
    if confluent is None or not isinstance(deserialiser, confluent.Deserializer):
        return _decoder(lambda data, _message: deserialiser(data), part, may_be_none=True, wanted="")
    context, field = confluent.SerializationContext, getattr(confluent.MessageField, part.upper())

    def parse(data: bytes, message: Message) -> Any:
        return deserialiser(data, context(message.topic(), field, headers_of(message)))

    return _decoder(parse, part, may_be_none=True, wanted="")


def _decoder(
    parse: Callable[[bytes, Message], Any], part: Part, *, may_be_none: bool, wanted: str
) -> Decoder:
    is_value = part == "value"

    def decode(message: Message) -> Any:
        data = message.value() if is_value else message.key()
        if data is None:
            if may_be_none:
                return None
            raise _refused(message, part, f"is null (a tombstone); Record[{wanted} | None] takes those too")
        try:
            return parse(data, message)
        except Exception as error:
            raise _refused(message, part, f"cannot be decoded: {_reason(error)}") from error

    return decode


def _refused(message: Message, part: Part, why: str) -> PayloadError:
    return PayloadError(
        f"the {part} of {message.topic()}-{message.partition()} at offset {message.offset()} {why}"
    )


def _reason(error: Exception) -> str:
    """One line."""
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return " ".join(str(error).split())
    listed = getattr(error, "errors", None)  # pydantic's are many lines
    if callable(listed) and "pydantic" in type(error).__module__:
        problems = listed()
        first = problems[0]
        where = "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in first["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"${where}: {first['msg']}{more}"
    text = " ".join(str(error).split())
    if isinstance(error, ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _parser(kind: Any) -> Callable[[bytes, Message], Any]:
    if plain_type(kind) is str:
        return lambda data, _message: data.decode()
    msgspec, pydantic = sys.modules.get("msgspec"), sys.modules.get("pydantic")
    try:
        if msgspec is not None and _mentions(kind, msgspec.Struct):
            decode = msgspec.json.Decoder(kind).decode
            return lambda data, _message: decode(data)
        if pydantic is not None and _mentions(kind, pydantic.BaseModel):
            validate = pydantic.TypeAdapter(kind).validate_json
            return lambda data, _message: validate(data)
        convert = converter(kind)
    except (TypeError, NameError) as error:
        raise RotaError(
            f"Record[{type_name(kind)}]: {error}; name another type, or give value= a function from bytes"
        ) from error
    return lambda data, _message: convert(json.loads(data))


def _without_none(kind: Any) -> tuple[Any, bool]:
    if kind is None or kind is types.NoneType:
        return kind, True
    if get_origin(kind) in (Union, types.UnionType):
        others = tuple(each for each in get_args(kind) if each is not types.NoneType)
        if len(others) < len(get_args(kind)):
            return Union[others], True  # noqa: UP007  # of a tuple
    return kind, False


def _mentions(kind: Any, base: type) -> bool:
    kind = plain_type(kind)
    if isinstance(kind, type) and not get_args(kind):
        return issubclass(kind, base)
    return any(_mentions(each, base) for each in get_args(kind))
