"""The fields and topics of Quividi's events."""

import pytest
from jsonschema import Draft202012Validator

from collector.schemas import event_types, json_schema

COMMON = "event_id type vendor source record_id"
LOCAL = "started_local utc_offset_s ambiguous"
VIEWER = (
    f"{COMMON} location_id started_at {LOCAL} ended_at dwell_ms attention_ms gender gender_code age_group age_code "
    "age_years mood glasses mustache beard vr_id footfall_id footfall_started_at occurrence"
)
STARTED = f"{COMMON} location_id started_at {LOCAL}"
PERSON = "vr_id watcher_id watcher_started_at tracking_mode occurrence"
VEHICLE = "vehicle_type vehicle_type_code color color_code impressions impressions_per_vehicle before_renumbering"
TIMING = f"{STARTED} visitor_event_id zone_id zone_name position ended_at duration_ms"
SALE = "product touch_count put_back_count estimated_sales gender gender_code age_group age_code occurrence"
PERIOD = f"{COMMON} revision resolution period_start period_end period_start_local utc_offset_s ambiguous quality"
CLOCKS = "creation_date last_upload_timestamp last_seen last_ots_uploaded utc_offset_s"
VENUE = "venue_type venue_subtype"
REFERENCES = (
    "id_pointer id_broadsign_uuid id_broadsign_playerid id_broadsign_screenid_v1 id_broadsign_displayunitid "
    "id_broadsign id_hivestack id_vistar id_pladway second_id third_id"
)
SEEN = f"{COMMON} revision seen_at is_gone"
PLAYS = "content_id content_duration_ms duration_ms impressions estimated_ots play_count watchers watchers_over_2s"
CLOCK_TIMES = "vendor_time host_time seen_at"
PASSED = (
    "content_id content_duration_ms duration_ms play_count vehicle_count vehicle_impressions footfall_impressions "
    "total_impressions vehicle_presence_ms footfall_presence_ms total_presence_ms avg_vehicle_presence_ms "
    "avg_footfall_presence_ms avg_presence_ms total_impressions_per_play"
)
WATCHED = (
    "impressions_per_play dwell_ms attention_ms avg_dwell_ms avg_attention_ms watchers_masked watchers_child_male "
    "watchers_young_adult_male watchers_adult_male watchers_senior_male watchers_child_female "
    "watchers_young_adult_female watchers_adult_female watchers_senior_female"
)
FACES = f"{PLAYS.replace('estimated_ots ', '')} {WATCHED}"
VEHICLES = "vehicle_count vehicle_impressions vehicle_presence_ms impressions_per_vehicle"
FOOTFALL = "footfall_impressions footfall_presence_ms"
IM = f"im im_footfall im_vehicle backup_value active analysis_window_ms {VEHICLES} {FOOTFALL}"
IM_OTS = "im backup_value active analysis_window_ms ots_count watcher_count dwell_ms attention_ms"
AGES = ("12_17", "18_24", "25_34", "35_44", "45_54", "55_64", "65_plus")
SALES = "touch_count put_back_count estimated_sales"
GROUPS = (
    *("adult_female", "adult_male", "child_female", "child_male", "senior_female", "senior_male"),
    *("young_adult_female", "young_adult_male", "masked"),
)
# Add new fields here.
FIELDS = {
    "quividi.viewer.v1": VIEWER,
    "quividi.viewer_apc.v1": f"{VIEWER} content_count",
    "quividi.viewer_content.v1": (
        f"{COMMON} viewer_event_id location_id position started_at {LOCAL} content_id campaign_id app_id dwell_ms "
        "attention_ms mood_ms gender age_group"
    ),
    "quividi.footfall.v1": f"{STARTED} ended_at presence_ms {PERSON}",
    "quividi.vehicle.v1": f"{STARTED} ended_at presence_ms {VEHICLE} occurrence",
    "quividi.vehicle_or_person.v1": (
        f"{STARTED} ended_at kind vehicle_presence_ms {VEHICLE} footfall_presence_ms {PERSON}"
    ),
    "quividi.retail_visitor.v1": (f"{STARTED} ended_at presence_ms {PERSON} visit_count clip_count door_pass_count"),
    "quividi.retail_visit.v1": TIMING,
    "quividi.retail_clip.v1": TIMING,
    "quividi.retail_door_pass.v1": TIMING,
    "quividi.pmp_sales_by_demographics.v1": f"{STARTED} {SALE}",
    "quividi.pmp_sales_funnel.v1": f"{STARTED} {SALE} dwell_ms attention_ms",
    "quividi.viewers_aggregated.v1": (
        f"{PERIOD} location_id gender gender_code age_group age_code watcher_count dwell_ms attention_ms "
        "conversion_percent"
    ),
    "quividi.ots.v1": f"{PERIOD} location_id ots_count watcher_count duration_ms",
    "quividi.gate.v1": f"{PERIOD} location_id gate_id in_count out_count duration_ms",
    "quividi.proof_of_play_by_location.v1": f"{PERIOD} location_id {PLAYS}",
    "quividi.proof_of_play_by_site.v1": f"{PERIOD} site_id {PLAYS}",
    "quividi.alert.v1": (
        f"{COMMON} revision alert_id network_id site_id location_id box_id {CLOCK_TIMES} kind alert_type label status "
        "status_text statuses extra_data linked_alert_id"
    ),
    "quividi.monitoring_message.v1": (
        f"{COMMON} revision box_id location_id {CLOCK_TIMES} status vr_status vr_version cpu_load fps avg_luma_percent "
        "input_lost_count resolution_width_px resolution_height_px"
    ),
    "quividi.location.v1": (
        f"{SEEN} location_id site_id box_id label description active is_benchmark_ignored {CLOCKS} location_type "
        f"{VENUE} {REFERENCES}"
    ),
    "quividi.site.v1": f"{SEEN} site_id network_id label active address description {VENUE} max_active_locations",
    "quividi.box.v1": f"{SEEN} box_id location_id site_id label active last_upload_timestamp",
    "quividi.zone.v1": (
        f"{SEEN} zone_id location_id name description zone_type zone_type_code presence_threshold_ms coordinates "
        "creation_date update_date"
    ),
    "quividi.tag.v1": f"{SEEN} tag_id kind network_id label is_extrapolation",
    "quividi.content.v1": (
        f"{SEEN} clip_number content_id network_id name description duration_ms advertiser_name creative_agency_name "
        "screenshot"
    ),
    "quividi.proof_of_play_by_location_footfall_faces.v1": f"{PERIOD} location_id {FACES}",
    "quividi.proof_of_play_by_site_footfall_faces.v1": f"{PERIOD} site_id {FACES}",
    "quividi.proof_of_play_vehicle_person_by_location.v1": f"{PERIOD} location_id {PASSED}",
    "quividi.proof_of_play_vehicle_person_by_site.v1": f"{PERIOD} site_id {PASSED}",
    "quividi.content_plays.v1": f"{PERIOD} location_id content_id content_duration_ms play_count",
    "quividi.footfall_aggregated.v1": f"{PERIOD} location_id {FOOTFALL}",
    "quividi.vehicles_aggregated.v1": f"{PERIOD} location_id {VEHICLES}",
    "quividi.vehicles_footfall_aggregated.v1": (
        f"{PERIOD} location_id {VEHICLES} {FOOTFALL} total_impressions total_presence_ms avg_presence_ms"
    ),
    "quividi.im.v1": f"{PERIOD} location_id {IM}",
    "quividi.im_nobackup.v1": f"{PERIOD} location_id {IM}",
    "quividi.im_ots.v1": f"{PERIOD} location_id {IM_OTS}",
    "quividi.im_ots_nobackup.v1": f"{PERIOD} location_id {IM_OTS}",
    "quividi.targeted_im.v1": " ".join(
        [
            f"{PERIOD} location_id im male_total_im female_total_im",
            *(f"{who}_age_{ages}_im" for who in ("all", "male", "female") for ages in AGES),
        ]
    ),
    "quividi.extrapolated_ots.v1": f"{PERIOD} selection extrapolation_amount ots_count watcher_count duration_ms",
    "quividi.extrapolated_watchers.v1": (
        f"{PERIOD} selection extrapolation_amount watcher_count dwell_ms attention_ms"
    ),
    "quividi.compass.v1": (
        f"{PERIOD} location_id location_name ots_count nearby_ots_count effective_ots_count presence_ms far_share "
        "mid_range_share near_share north_share north_east_share east_share south_east_share south_share "
        "south_west_share west_share north_west_share"
    ),
    "quividi.retail_analytics_footfall_aggregated.v1": (
        f"{PERIOD} location_id zone_id zone_name total_impressions visit_count visit_count_above_threshold dwell_ms "
        "dwell_above_threshold_ms dwell_threshold_ms"
    ),
    "quividi.pmp_sales_by_demographics_aggregated.v1": " ".join(
        [f"{PERIOD} location_id product {SALES}", *(f"estimated_sales_{name}" for name in GROUPS)]
    ),
    "quividi.pmp_sales_funnel_aggregated.v1": (
        f"{PERIOD} location_id gender gender_code age_group age_code {SALES} dwell_ms attention_ms watcher_count "
        "passer_by_count"
    ),
    "quividi.row.v1": (
        f"{COMMON} revision occurrence stream data_type resolution location_id site_id selection started_at "
        "started_local period_start period_end period_start_local utc_offset_s ambiguous row_json"
    ),
}
ADDED = {
    "quividi.ots.v1": "effective_ots_count status",
    "quividi.proof_of_play_by_location.v1": WATCHED,
    "quividi.proof_of_play_by_site.v1": WATCHED,
}
"""The fields that a type got after its release: they are not required."""
TOPICS = {name: name.removesuffix(".v1") for name in FIELDS} | {
    "quividi.viewer.v1": "quividi.viewers",
    "quividi.viewer_apc.v1": "quividi.viewers_apc",
    "quividi.viewer_content.v1": "quividi.viewer_contents",
    "quividi.alert.v1": "quividi.alerts",
    "quividi.row.v1": "quividi.rows",
    "quividi.monitoring_message.v1": "quividi.monitoring_messages",
    "quividi.location.v1": "quividi.locations",
    "quividi.site.v1": "quividi.sites",
    "quividi.box.v1": "quividi.boxes",
    "quividi.zone.v1": "quividi.zones",
    "quividi.tag.v1": "quividi.tags",
    "quividi.content.v1": "quividi.contents",
    "quividi.vehicle.v1": "quividi.vehicles",
    "quividi.vehicle_or_person.v1": "quividi.vehicles_footfall",
    "quividi.retail_visitor.v1": "quividi.retail_visitors",
    "quividi.retail_visit.v1": "quividi.retail_visits",
    "quividi.retail_clip.v1": "quividi.retail_clips",
    "quividi.retail_door_pass.v1": "quividi.retail_door_passes",
}

each_type = pytest.mark.parametrize("name", FIELDS)


def test_every_type_is_listed_here() -> None:
    assert FIELDS.keys() == {name for name in event_types() if name.startswith("quividi.")}


@each_type
def test_a_type_has_these_required_fields_and_this_topic(name: str) -> None:
    kind = event_types()[name]
    schema = json_schema(kind)

    Draft202012Validator.check_schema(schema)
    assert TOPICS[name] == kind.topic
    assert {*FIELDS[name].split(), *ADDED.get(name, "").split()} == schema["properties"].keys()
    assert set(FIELDS[name].split()) == set(schema["required"])


@each_type
def test_impressions_are_fractions_and_counts_are_integers_unless_they_are_projected(name: str) -> None:
    for field, kind in json_schema(event_types()[name])["properties"].items():
        if "impressions" in field:
            assert ["number", "null"] == kind["type"]
        elif field.endswith(("_count", "_count_above_threshold")):
            is_projected = name.startswith("quividi.extrapolated")
            assert kind["type"] in (["number" if is_projected else "integer", "null"], "integer")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("quividi.gate.v1", "duration_ms"),
        ("quividi.proof_of_play_by_site.v1", "duration_ms"),
        ("quividi.proof_of_play_vehicle_person_by_location.v1", "duration_ms"),
        ("quividi.retail_analytics_footfall_aggregated.v1", "total_impressions"),
    ],
)
def test_descriptions_of_repeated_numbers_say_so(name: str, field: str) -> None:
    assert "repeat" in json_schema(event_types()[name])["properties"][field]["description"]


@each_type
def test_descriptions_of_durations_name_the_unit(name: str) -> None:
    properties = json_schema(event_types()[name])["properties"]

    assert [] == [field for field, kind in properties.items() if not kind.get("description")]
    durations = {field: kind for field, kind in properties.items() if field.endswith("_ms") and field != "mood_ms"}
    assert [] == [field for field, kind in durations.items() if "milliseconds" not in kind["description"]]
