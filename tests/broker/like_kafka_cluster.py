"""Conversations about quotas, users, features, nodes, directories; what is switched off; for ``test_like_kafka``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.broker.talk import Talk
from tests.kafka.ports import wait_until

from rota.wire.messages import alter_client_quotas as altering
from rota.wire.messages import (
    delete_share_group_state,
    initialize_share_group_state,
    read_share_group_state,
    write_share_group_state,
)
from rota.wire.messages import describe_client_quotas as describing
from rota.wire.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse, Listener
from rota.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
)
from rota.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse,
)
from rota.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from rota.wire.messages.create_delegation_token import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
)
from rota.wire.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
)
from rota.wire.messages.describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)
from rota.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from rota.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsRequestTopic,
    DescribeShareGroupOffsetsResponse,
)
from rota.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    UserName,
)
from rota.wire.messages.expire_delegation_token import (
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
)
from rota.wire.messages.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse
from rota.wire.messages.renew_delegation_token import (
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)
from rota.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from rota.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from rota.wire.messages.share_acknowledge import ShareAcknowledgeRequest, ShareAcknowledgeResponse
from rota.wire.messages.share_fetch import ShareFetchRequest, ShareFetchResponse
from rota.wire.messages.share_group_describe import ShareGroupDescribeRequest, ShareGroupDescribeResponse
from rota.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse
from rota.wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from rota.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

__all__ = ["CASES", "PROVOKED"]

_Entity = list[tuple[str, str | None]]
_Filters = list[tuple[str, int, str | None]]
_EXACT, _DEFAULT, _ANY = 0, 1, 2
_SHA_256, _SHA_512 = 1, 2
_UPGRADE, _SAFE, _UNSAFE = 1, 2, 3


def client_quotas(talk: Talk) -> None:
    user: tuple[str, str | None] = ("user", talk.name)
    wrong: list[tuple[_Entity, dict[str, float | None]]] = [
        ([("ip", "127.0.0.1"), user], {"connection_creation_rate": 5}),
        ([("ip", "no.such.host.invalid")], {"connection_creation_rate": 5}),
        ([("ip", "127.0.0.1")], {"producer_byte_rate": 5}),
        ([("nonsense", "x")], {"producer_byte_rate": 5}),
        ([], {"producer_byte_rate": 5}),
        ([("user", "")], {"producer_byte_rate": 5}),
        ([user], {"nonsense": 5}),
        ([user], {"producer_byte_rate": 0}),
        ([user], {"producer_byte_rate": -5}),
        ([user], {"producer_byte_rate": 1.5}),
        ([user], {"producer_byte_rate": 1e30}),
        ([user, ("user", "other")], {"nonsense": 5}),
        ([user], {"consumer_byte_rate": None}),
        ([user], {}),
    ]
    for entity, quotas in wrong:
        talk.ask_in_all(_altered([(entity, quotas)]), altering.AlterClientQuotasResponse)
    twice = _altered([([user], {"producer_byte_rate": 5})])
    twice.entries[0].ops *= 2
    talk.ask_in_all(twice, altering.AlterClientQuotasResponse)
    same = _altered([([user], {"request_percentage": 3.5})] * 2, validate_only=True)
    talk.ask_in_all(same, altering.AlterClientQuotasResponse)

    set_now: list[tuple[_Entity, dict[str, float | None]]] = [
        ([user], {"producer_byte_rate": 1e9, "request_percentage": 90.5}),
        ([user, ("client-id", talk.name)], {"consumer_byte_rate": 2e9}),
        ([("client-id", talk.name)], {"controller_mutation_rate": 500}),
        ([("ip", "127.0.0.9")], {"connection_creation_rate": 5}),
    ]
    talk.ask(_altered(set_now), 1, altering.AlterClientQuotasResponse)
    wait_until("the quotas are seen", lambda: len(_quotas(talk, user)) == 2)
    filters_given: list[_Filters] = [
        [],
        [("user", _EXACT, talk.name)],
        [("user", _ANY, None)],
        [("user", _DEFAULT, None)],
        [("client-id", _ANY, None)],
        [("ip", _ANY, None)],
        [("user", _EXACT, talk.name), ("client-id", _EXACT, talk.name)],
        [("user", _EXACT, "missing")],
        [("nonsense", _ANY, None)],
        [("", _ANY, None)],
        [("user", _EXACT, None)],
        [("user", _DEFAULT, "x")],
        [("user", _ANY, "x")],
        [("user", 7, None)],
        [("user", _ANY, None), ("user", _ANY, None)],
        [("ip", _ANY, None), ("user", _ANY, None)],
    ]
    for filters in filters_given:
        for strict in (False, True):
            talk.ask_in_all(_described(filters, strict=strict), describing.DescribeClientQuotasResponse)
    gone = [(entity, dict.fromkeys(quotas)) for entity, quotas in set_now]
    talk.ask(_altered(gone), 1, altering.AlterClientQuotasResponse)
    wait_until("the quotas are gone", lambda: not _quotas(talk, user))
    talk.ask(_described([]), 1, describing.DescribeClientQuotasResponse)


def _altered(
    entries: list[tuple[_Entity, dict[str, float | None]]], *, validate_only: bool = False
) -> altering.AlterClientQuotasRequest:
    return altering.AlterClientQuotasRequest(
        entries=[
            altering.EntryData(
                entity=[altering.EntityData(entity_type=kind, entity_name=name) for kind, name in entity],
                ops=[
                    altering.OpData(key=key, value=value or 0.0, remove=value is None)
                    for key, value in quotas.items()
                ],
            )
            for entity, quotas in entries
        ],
        validate_only=validate_only,
    )


def _described(filters: _Filters, *, strict: bool = False) -> describing.DescribeClientQuotasRequest:
    return describing.DescribeClientQuotasRequest(
        components=[
            describing.ComponentData(entity_type=kind, match_type=match_type, match=match)
            for kind, match_type, match in filters
        ],
        strict=strict,
    )


def _quotas(talk: Talk, user: tuple[str, str | None]) -> list[describing.EntryData]:
    ask = _described([(user[0], _EXACT, user[1])])
    return talk.client.call(ask, 1, describing.DescribeClientQuotasResponse).entries or []


def scram_credentials(talk: Talk) -> None:
    name = talk.name
    for deleted, made in (
        ([], [(name, _SHA_256, 4096)]),
        ([], [(f"{name}-2", _SHA_512, 16384)]),
        ([], [(name, _SHA_512, 4095)]),
        ([], [(name, _SHA_512, 16385)]),
        ([], [(name, 3, 5000)]),
        ([], [(name, 0, 5000)]),
        ([], [("", _SHA_256, 5000)]),
        ([("missing", _SHA_256)], []),
        ([(name, 9)], []),
        ([(name, _SHA_256)], [(name, _SHA_256, 5000)]),
        ([(name, _SHA_256), (name, _SHA_512)], []),
        ([], [(name, _SHA_256, 5000), (name, _SHA_512, 5000)]),
        ([], []),
    ):
        talk.ask(_credentials(deleted, made), 0, AlterUserScramCredentialsResponse)
    wait_until("the users are seen", lambda: len(_users(talk, None)) == 2)
    for users in (None, [], [name], ["missing"], [name, "missing"], [name, name]):
        talk.ask(_asked(users), 0, DescribeUserScramCredentialsResponse)
    talk.ask(
        _credentials([(name, _SHA_256), (f"{name}-2", _SHA_512)], []), 0, AlterUserScramCredentialsResponse
    )
    wait_until("the users are gone", lambda: not _users(talk, None))


def _credentials(
    deleted: list[tuple[str, int]], made: list[tuple[str, int, int]]
) -> AlterUserScramCredentialsRequest:
    return AlterUserScramCredentialsRequest(
        deletions=[ScramCredentialDeletion(name=name, mechanism=mechanism) for name, mechanism in deleted],
        upsertions=[
            ScramCredentialUpsertion(
                name=name, mechanism=mechanism, iterations=iterations, salt=b"salt", salted_password=b"p" * 32
            )
            for name, mechanism, iterations in made
        ],
    )


def _asked(users: list[str] | None) -> DescribeUserScramCredentialsRequest:
    names = None if users is None else [UserName(name=each) for each in users]
    return DescribeUserScramCredentialsRequest(users=names)


def _users(talk: Talk, users: list[str] | None) -> list[str]:
    answer = talk.client.call(_asked(users), 0, DescribeUserScramCredentialsResponse)
    return [each.user for each in answer.results]


def update_features(talk: Talk) -> None:
    """What could be changed, and what could not; of that which is changed, only what Rota can."""
    for updates in (
        [],
        [("nonsense", 1, _UPGRADE)],
        [("", 1, _UPGRADE)],
        [("transaction.version", 2, _UPGRADE)],
        [("transaction.version", 1, _UPGRADE)],
        [("transaction.version", 1, _SAFE)],
        [("transaction.version", 0, _UNSAFE)],
        [("transaction.version", 2, _SAFE)],
        [("transaction.version", 2, 7)],
        [("transaction.version", 3, _UPGRADE)],
        [("transaction.version", -1, _UPGRADE)],
        [("group.version", 1, _UPGRADE)],
        [("group.version", 0, _SAFE)],
        [("share.version", 1, _UPGRADE)],
        [("metadata.version", 27, _UPGRADE)],
        [("metadata.version", 26, _UPGRADE)],
        [("metadata.version", 26, _SAFE)],
        [("metadata.version", 28, _UPGRADE)],
        [("metadata.version", 6, _SAFE)],
        [("kraft.version", 0, _UPGRADE)],
        [("kraft.version", 1, _UPGRADE)],
        [("eligible.leader.replicas.version", 0, _SAFE)],
        [("group.version", 1, _UPGRADE), ("nonsense", 1, _UPGRADE)],
        [("group.version", 1, _UPGRADE), ("group.version", 1, _UPGRADE)],
    ):
        talk.ask_in_all(_levels(updates, validate_only=True), UpdateFeaturesResponse, first=1)
    talk.ask(_levels([("nonsense", 1, _UPGRADE)]), 0, UpdateFeaturesResponse)
    for level, how in ((1, _SAFE), (2, _UPGRADE)):
        talk.ask(_levels([("transaction.version", level, how)]), 2, UpdateFeaturesResponse)


def _levels(updates: list[tuple[str, int, int]], *, validate_only: bool = False) -> UpdateFeaturesRequest:
    return UpdateFeaturesRequest(
        feature_updates=[
            FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=how)
            for name, level, how in updates
        ],
        validate_only=validate_only,
    )


def nodes(talk: Talk) -> None:
    """Not asked: to unregister the broker itself, which Kafka would do."""
    talk.ask(UnregisterBrokerRequest(broker_id=7), 0, UnregisterBrokerResponse)
    listener = Listener(name="CONTROLLER", host="127.0.0.1", port=1)
    add = AddRaftVoterRequest(cluster_id=None, voter_id=7, listeners=[listener])
    talk.ask(add, 0, AddRaftVoterResponse)
    talk.ask(RemoveRaftVoterRequest(cluster_id=None, voter_id=1), 0, RemoveRaftVoterResponse)


def log_directories(talk: Talk) -> None:
    """The directory is each broker's own, so it is left out of what is compared."""
    name = talk.topic(2)
    own = talk.client.call(DescribeLogDirsRequest(topics=None), 4, DescribeLogDirsResponse).results[0].log_dir
    for path, topic, partitions in (
        (own, name, [0, 1]),
        ("/nonsense", name, [0]),
        ("relative", name, [0]),
        (own, "missing", [0]),
        (own, name, [7]),
        ("/nonsense", "missing", [0]),
    ):
        move = AlterReplicaLogDir(
            path=path, topics=[AlterReplicaLogDirTopic(name=topic, partitions=partitions)]
        )
        talk.ask_in_all(AlterReplicaLogDirsRequest(dirs=[move]), AlterReplicaLogDirsResponse)
    talk.ask_in_all(AlterReplicaLogDirsRequest(dirs=[]), AlterReplicaLogDirsResponse)


def no_login(talk: Talk) -> None:
    """A listener without SASL."""
    for mechanism in ("PLAIN", "nonsense"):
        talk.ask_in_all(SaslHandshakeRequest(mechanism=mechanism), SaslHandshakeResponse)
    talk.ask_in_all(SaslAuthenticateRequest(auth_bytes=b"x"), SaslAuthenticateResponse)
    talk.ask_in_all(CreateDelegationTokenRequest(max_lifetime_ms=1_000), CreateDelegationTokenResponse)
    talk.ask_in_all(RenewDelegationTokenRequest(hmac=b"x"), RenewDelegationTokenResponse)
    talk.ask_in_all(ExpireDelegationTokenRequest(hmac=b"x"), ExpireDelegationTokenResponse)
    talk.ask_in_all(DescribeDelegationTokenRequest(owners=None), DescribeDelegationTokenResponse)


def no_share_groups(talk: Talk) -> None:
    """Share groups are switched off in a new cluster."""
    hello = ShareGroupHeartbeatRequest(group_id="g", member_id="m", subscribed_topic_names=["t"])
    talk.ask(hello, 1, ShareGroupHeartbeatResponse)
    talk.ask(ShareGroupDescribeRequest(group_ids=["g", "h"]), 1, ShareGroupDescribeResponse)
    talk.ask(ShareFetchRequest(group_id="g", member_id="m"), 1, ShareFetchResponse)
    talk.ask(ShareAcknowledgeRequest(group_id="g", member_id="m"), 1, ShareAcknowledgeResponse)
    topic = DescribeShareGroupOffsetsRequestTopic(topic_name="t", partitions=[0])
    for topics in (None, [topic]):
        group = DescribeShareGroupOffsetsRequestGroup(group_id="g", topics=topics)
        talk.ask(DescribeShareGroupOffsetsRequest(groups=[group]), 0, DescribeShareGroupOffsetsResponse)
    talk.ask(AlterShareGroupOffsetsRequest(group_id="g"), 0, AlterShareGroupOffsetsResponse)
    talk.ask(DeleteShareGroupOffsetsRequest(group_id="g"), 0, DeleteShareGroupOffsetsResponse)


def no_state_of_share_groups(talk: Talk) -> None:
    for module, kind in (
        (initialize_share_group_state, "Initialize"),
        (read_share_group_state, "Read"),
        (write_share_group_state, "Write"),
        (delete_share_group_state, "Delete"),
    ):
        names: Any = vars(module)
        partitions = [names["PartitionData"](partition=index) for index in range(2)]
        topics = [names[f"{kind}StateData"](topic_id=b"\1" * 16, partitions=partitions)]
        for asked in (topics, []):
            request = names[f"{kind}ShareGroupStateRequest"](group_id="g", topics=asked)
            talk.ask(request, 0, names[f"{kind}ShareGroupStateResponse"])


CASES: tuple[Callable[[Talk], None], ...] = (
    client_quotas,
    scram_credentials,
    update_features,
    nodes,
    log_directories,
    no_login,
    no_share_groups,
    no_state_of_share_groups,
)

_NO_TOKEN, _OFF, _NOBODY = "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "UNSUPPORTED_VERSION", "NOT_COORDINATOR"

PROVOKED: dict[str, set[str]] = {
    "AddRaftVoter": {"INVALID_REQUEST"},
    "AlterClientQuotas": {"INVALID_REQUEST"},
    "AlterReplicaLogDirs": {"LOG_DIR_NOT_FOUND", "UNKNOWN_TOPIC_OR_PARTITION"},
    "AlterUserScramCredentials": {
        "DUPLICATE_RESOURCE",
        "RESOURCE_NOT_FOUND",
        "UNACCEPTABLE_CREDENTIAL",
        "UNSUPPORTED_SASL_MECHANISM",
    },
    "DescribeClientQuotas": {"INVALID_REQUEST", "UNSUPPORTED_VERSION"},
    "DescribeUserScramCredentials": {"DUPLICATE_RESOURCE", "RESOURCE_NOT_FOUND"},
    "RemoveRaftVoter": {"INVALID_REQUEST"},
    "SaslAuthenticate": {"ILLEGAL_SASL_STATE"},
    "SaslHandshake": {"ILLEGAL_SASL_STATE"},
    "UnregisterBroker": {"BROKER_ID_NOT_REGISTERED"},
    "UpdateFeatures": {"INVALID_UPDATE_VERSION"},
    **{f"{what}DelegationToken": {_NO_TOKEN} for what in ("Create", "Describe", "Expire", "Renew")},
    **{f"Share{what}": {_OFF} for what in ("Acknowledge", "Fetch", "GroupDescribe", "GroupHeartbeat")},
    **{f"{what}ShareGroupOffsets": {_OFF} for what in ("Alter", "Delete", "Describe")},
    **{f"{what}ShareGroupState": {_NOBODY} for what in ("Delete", "Initialize", "Read", "Write")},
}
"""The errors that Kafka answers here."""
