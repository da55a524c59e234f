"""Staff: positions follow membership, people stay, move or leave, and poor schools keep fewer.

The whole state at once, since people move between LEAs; a million students need 150,000 of them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from include.demo.extracts import Writers, coded, constant, dates, flag, numbered, whole
from include.demo.organizations import GRADES, Organizations
from include.demo.people import People, Registrar, select, together
from include.demo.plan import Plan
from include.demo.truths import RACES, SEXES, STAFF_CLASSES, Truths

TEACHERS = ("PKTCH", "KGTCH", "ELMTCH", "SECTCH", "UGTCH")
_TEACHER = np.array([STAFF_CLASSES.index(name) for name in TEACHERS])
_PRINCIPAL = STAFF_CLASSES.index("SCHADM")
_TITLES = (
    "Teacher - prekindergarten", "Teacher - kindergarten", "Teacher - elementary",
    "Teacher - secondary", "Teacher - ungraded", "Instructional aide", "Curriculum coordinator",
    "School counselor", "School psychologist", "Librarian", "Library aide", "District director",
    "District office assistant", "Assistant principal", "School office assistant",
    "Student support specialist", "Operations", "Principal", "School nurse", "School social worker",
)  # fmt: skip
# Titles beyond those of the staff classes, in the order of _TITLES.
_HEAD, _NURSE, _SOCIAL_WORKER = range(len(STAFF_CLASSES), len(STAFF_CLASSES) + 3)
ROLES = (None, "OTHER", "NURSE", "SOCIAL_WORKER")
CREDENTIALS = ("REGULAR", "PROVISIONAL", "EMERGENCY", "NONE")
_LICENSED = np.array(
    [
        name in (*TEACHERS, "GUI", "SCHPSYCH", "LIBSPE", "CORSUP", "SCHADM", "LEAADM")
        for name in STAFF_CLASSES
    ]
)
SUBJECTS = ("ENG", "MAT", "SCI", "SOC", "ART", "WLA", "CTE", "PED")
STATUS = ("ACTIVE", "LEAVE", "SEPARATED")
REASONS = (None, "RETIRED", "RESIGNED", "NOT_RENEWED", "DISMISSED", "OTHER", "UNKNOWN")
FTE = ("1.0", "0.8", "0.6", "0.5", "0.4")
_FTE = np.array([float(share) for share in FTE])

# Pupils to each position at a school; teachers follow the grades.
_PUPILS_PER = {"PARA": 62, "GUI": 380, "SCHPSYCH": 1000, "LIBSPE": 650, "LIBSUP": 900,
               "SCHSUP": 260, "STUSUP": 520}  # fmt: skip
_CENTRAL_PUPILS_PER = {"CORSUP": 1100, "LEAADM": 1500, "LEASUP": 900, "OTHSUP": 130}


def positions(it: Organizations, membership: np.ndarray) -> np.ndarray:
    """Positions by place and staff class, from membership by school and grade.

    Places are the schools, then the central offices of the LEAs.
    """
    kg, first, sixth = GRADES.index("KG"), GRADES.index("01"), GRADES.index("06")
    pupils = membership.sum(axis=1)
    alternative = np.array([kind == "ALTERNATIVE" for kind in it.school_types])
    secondary = membership[:, sixth:].sum(axis=1)
    wanted = np.zeros((len(it.school_ids) + len(it.lea_ids), len(STAFF_CLASSES)), int)

    def at_schools(name: str, number: np.ndarray) -> None:
        wanted[: len(pupils), STAFF_CLASSES.index(name)] = np.where(pupils > 0, np.round(number), 0)

    at_schools("PKTCH", np.ceil(membership[:, 0] / 15))
    at_schools("KGTCH", np.ceil(membership[:, kg] / 19))
    at_schools("ELMTCH", np.ceil(membership[:, first:sixth].sum(axis=1) / 18))
    at_schools("SECTCH", np.where(alternative, 0, np.ceil(secondary / 17)))
    at_schools("UGTCH", np.where(alternative, np.ceil(secondary / 9), 0))
    at_schools("SCHADM", 1 + pupils // 480)
    for name, per in _PUPILS_PER.items():
        at_schools(name, pupils / per)
    of_lea = np.bincount(it.school_lea, weights=pupils, minlength=len(it.lea_ids))
    for name, per in _CENTRAL_PUPILS_PER.items():
        wanted[len(pupils) :, STAFF_CLASSES.index(name)] = np.ceil(of_lea / per)
    return wanted


def roles(number: np.ndarray) -> np.ndarray:
    """What someone of class STUSUP is (ROLES less 1): two in five each a nurse, a social worker."""
    return np.array([1, 1, 2, 2, 0])[number % 5]


def _endorsements(
    person: np.ndarray, subject: np.ndarray, secondary: np.ndarray, out: np.ndarray
) -> list[str | None]:
    """What each person is endorsed for, on each of their rows: the courses that are in their field.

    Who teaches only outside of it is endorsed in another subject.
    """
    held: dict[int, list[str]] = {}
    for row in np.flatnonzero(secondary):
        subjects = held.setdefault(int(person[row]), [])
        if not out[row]:
            subjects.append(SUBJECTS[subject[row]])
    for row in np.flatnonzero(secondary & out):
        if not held[int(person[row])]:
            # Three places on is neither this course nor a second one.
            held[int(person[row])] = [SUBJECTS[(subject[row] + 3) % len(SUBJECTS)]]
    return [";".join(held[one]) if one in held else None for one in person.tolist()]


def new_year(year: np.ndarray) -> np.ndarray:
    """January 1 of each year."""
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")


class Workforce:
    """Everybody who works in the state's schools, and the years through which they do."""

    def __init__(
        self, plan: Plan, organizations: Organizations, writers: Writers, truths: Truths
    ) -> None:
        self.organizations, self.writers, self.truths = organizations, writers, truths
        self.rng = plan.rng(2)
        # Far from the numbers of students.
        self.registrar = Registrar(plan, given=500_000_000)
        self.place_lea = np.concatenate(
            [organizations.school_lea, np.arange(len(organizations.lea_ids))]
        )
        self.place_poverty = np.concatenate(
            [organizations.school_poverty, organizations.lea_poverty]
        )
        self.place_ids = [*organizations.school_ids, *["CENTRAL"] * len(organizations.lea_ids)]
        self.people = self._hire(np.empty(0, int), np.empty(0, int), is_first=True)

    def _hire(self, place: np.ndarray, kind: np.ndarray, *, is_first: bool) -> People:
        """New people in these positions; in the first year most have been there for long."""
        rng, n = self.rng, len(place)
        poverty = self.place_poverty[place]
        veteran = 3 + np.minimum(rng.gamma(2.0, 5.5, n), 40)
        # Poor schools hire beginners, and keep a workforce with more of them.
        novice = rng.random(n) < (0.05 + 0.2 * poverty if is_first else 0.35 + 0.35 * poverty)
        prior = np.where(novice, rng.integers(0, 2, n), veteran).astype(int)
        beginner = prior < 2
        short = rng.random(n) < np.where(beginner, 0.14 + 0.25 * poverty, 0.01 + 0.05 * poverty)
        credential = np.where(short, rng.choice([1, 2], n, p=[0.75, 0.25]), 0)
        return {
            "id": self.registrar.numbers(n),
            "place": place,
            "kind": kind,
            "prior": prior,
            "is_principal": np.zeros(n, bool),
            "credential": np.where(_LICENSED[kind], credential, CREDENTIALS.index("NONE")),
            "race": rng.choice(7, n, p=[0.01, 0.03, 0.14, 0.12, 0.005, 0.665, 0.03]),
            "sex": rng.choice(len(SEXES), n, p=[0.745, 0.254, 0.001]),
            "fte": rng.choice([0, 1, 2, 3], n, p=[0.93, 0.02, 0.02, 0.03]),
            "subject": rng.integers(0, len(SUBJECTS), n),
            "started": np.zeros(n, int),
            "leaves": np.zeros(n, bool),
        }

    def year(self, year: int, membership: np.ndarray) -> None:
        """Fill the year's positions, decide who leaves at its end, write it and add it up.

        `membership` counts pupils by school and grade.
        """
        rng = self.rng
        wanted = positions(self.organizations, membership)
        is_first = not len(self.people["id"])
        if not is_first:
            self.people = self._stay(year, wanted)
        have = np.zeros_like(wanted)
        np.add.at(have, (self.people["place"], self.people["kind"]), 1)
        place, kind = np.nonzero(wanted - have > 0)
        vacancies = (wanted - have)[place, kind]
        hired = self._hire(
            np.repeat(place, vacancies), np.repeat(kind, vacancies), is_first=is_first
        )
        tenure = (
            np.minimum(hired["prior"], rng.geometric(0.15, len(hired["id"])) - 1) if is_first else 0
        )
        hired["started"][:] = year - tenure
        self.people = together(self.people, hired)
        order = np.lexsort((self.people["id"], self.people["kind"], self.people["place"]))
        self.people = select(self.people, order)
        self._appoint_principals()
        poverty = self.place_poverty[self.people["place"]]
        old = self.people["prior"] > 32
        self.people["leaves"] = rng.random(len(poverty)) < 0.06 + 0.09 * poverty + 0.3 * old
        self._add_up(year, *self._write(year))

    def _stay(self, year: int, wanted: np.ndarray) -> People:
        """Last year's people a year later: leavers gone, some at another school."""
        rng = self.rng
        people = select(self.people, ~self.people["leaves"])
        n = len(people["id"])
        people = people | {"prior": people["prior"] + 1}
        # Provisional credentials mature.
        matured = (people["credential"] > 0) & (people["credential"] < 3) & (rng.random(n) < 0.4)
        people["credential"] = np.where(matured, 0, people["credential"])
        # Movers seek a school that is less poor; where there is no vacancy they stay away.
        moves = rng.random(n) < 0.02 + 0.05 * self.place_poverty[people["place"]]
        order = rng.permutation(n)
        moves = moves[order] & ~people["is_principal"][order]
        people = select(people, order)
        # Of the positions that are left, the first come first served; the rest look elsewhere.
        key = people["place"] * len(STAFF_CLASSES) + people["kind"]
        ranked = np.lexsort((~people["is_principal"], moves, key))
        position = np.empty(n, int)
        starts = (
            np.concatenate([[True], key[ranked][1:] != key[ranked][:-1]])
            if n
            else np.empty(0, bool)
        )
        run = np.arange(n) - np.maximum.accumulate(np.where(starts, np.arange(n), 0))
        position[ranked] = run
        keeps = ~moves & (position < wanted.ravel()[key])
        staying, seeking = select(people, keeps), select(people, ~keeps)
        have = np.zeros_like(wanted)
        np.add.at(have, (staying["place"], staying["kind"]), 1)
        free = np.maximum(wanted - have, 0)
        found = np.full(len(seeking["id"]), -1)
        for kind in range(len(STAFF_CLASSES)):
            seekers = np.flatnonzero(seeking["kind"] == kind)
            openings = np.repeat(np.arange(len(free)), free[:, kind])
            draw = rng.permutation(openings)[: len(seekers)]
            found[seekers[: len(draw)]] = draw
        seeking["place"] = found
        seeking["started"][:] = year
        return together(staying, select(seeking, found >= 0))

    def _appoint_principals(self) -> None:
        """Each school's principal: last year's, or the administrator who has waited longest."""
        people, schools = self.people, len(self.organizations.school_ids)
        candidates = np.flatnonzero((people["kind"] == _PRINCIPAL) & (people["place"] < schools))
        order = candidates[
            np.lexsort((people["id"][candidates], -people["prior"][candidates],
                        ~people["is_principal"][candidates], people["place"][candidates]))
        ]  # fmt: skip
        _, first = np.unique(people["place"][order], return_index=True)
        people["is_principal"] = np.zeros(len(people["id"]), bool)
        people["is_principal"][order[first]] = True

    def _write(self, year: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One row per assignment: two for who works at two schools or teaches two courses.

        Returns the rows as positions of person, place and share of full time, and whether each is
        taught out of field.
        """
        rng, people = self.rng, self.people
        n = len(people["id"])
        full = (people["fte"] == 0) & ~people["is_principal"]
        two_courses = (
            full & (people["kind"] == STAFF_CLASSES.index("SECTCH")) & (rng.random(n) < 0.2)
        )
        itinerant = full & np.isin(
            people["kind"], [STAFF_CLASSES.index("GUI"), STAFF_CLASSES.index("SCHPSYCH")]
        )
        itinerant &= rng.random(n) < 0.4
        other = self._other_school(people["place"])
        itinerant &= other != people["place"]
        second = np.flatnonzero(two_courses | itinerant)
        person = np.concatenate([np.arange(n), second])
        is_second = np.arange(len(person)) >= n
        share = people["fte"][person]
        share = np.where(two_courses[person], np.where(is_second, 4, 2), share)
        share = np.where(itinerant[person], 3, share)
        place = np.where(is_second & itinerant[person], other[person], people["place"][person])
        order = np.argsort(person, kind="stable")
        person, place, share, is_second = (
            person[order],
            place[order],
            share[order],
            is_second[order],
        )
        of, rows = select(people, person), len(person)
        teaches = np.isin(of["kind"], _TEACHER)
        secondary = of["kind"] == STAFF_CLASSES.index("SECTCH")
        support = of["kind"] == STAFF_CLASSES.index("STUSUP")
        role = np.where(support, 1 + roles(of["id"]), 0)
        subject = np.where(is_second, (of["subject"] + 1) % len(SUBJECTS), of["subject"])
        course = np.where(secondary, subject + 1, 0)
        out = secondary & (rng.random(rows) < np.where(is_second, 0.3, 0.05))
        status = np.where(of["leaves"], 2, (of["id"] % 50 == 0).astype(int))
        reason = np.where(of["prior"] > 28, 1, 2 + of["id"] % 5)
        end = np.datetime64(f"{year}-05-31") - (of["id"] % 60)
        issued = year - 1 - np.where(of["credential"] == 0, np.minimum(of["prior"], 4), 0)
        valid = np.where(of["credential"] == 0, 6, 3)
        licensed = of["credential"] < CREDENTIALS.index("NONE")
        none = np.datetime64("NaT")
        poverty = self.place_poverty[of["place"]]
        salary = 24_000 + 16_000 * licensed + 950 * np.minimum(of["prior"], 30)
        salary = np.round(salary * (1.12 - 0.2 * poverty) * _FTE[of["fte"]] / 10) * 10
        title = np.where(of["is_principal"], _HEAD, of["kind"])
        title = np.select([role == 2, role == 3], [_NURSE, _SOCIAL_WORKER], title)
        self.writers[year, "staff_assignment"].write(
            {
                "school_year": constant(year, rows),
                "staff_id": numbered(of["id"], 9),
                "lea_id": coded(self.organizations.lea_ids, self.place_lea[place]),
                "school_id": coded(self.place_ids, place),
                "staff_class": coded(STAFF_CLASSES, of["kind"]),
                "job_title": coded(_TITLES, title),
                "support_role": coded(ROLES, role),
                "is_principal": flag(of["is_principal"]),
                "fte": coded(FTE, share),
                "start_date": dates(new_year(of["started"] - 1) + 226),
                "end_date": dates(np.where(of["leaves"], end, none)),
                "prior_years": whole(of["prior"]),
                "credential_type": coded(CREDENTIALS, of["credential"]),
                "credential_start": dates(np.where(licensed, new_year(issued), none)),
                "credential_end": dates(np.where(licensed, new_year(issued + valid), none)),
                "endorsements": pa.array(_endorsements(person, subject, secondary, out)),
                "course_code": coded(("0000", *(f"{s}1" for s in SUBJECTS)), course),
                "is_out_of_field": flag(out & teaches),
                "race": coded(RACES, of["race"]),
                "sex": coded(SEXES, of["sex"]),
                "base_salary": whole(salary.astype(np.int64)),
                "status": coded(STATUS, status),
                "separation_reason": coded(REASONS, np.where(of["leaves"], reason, 0)),
            }
        )
        return person, place, share, out & teaches

    def _other_school(self, place: np.ndarray) -> np.ndarray:
        """The next school of the same LEA, or the place itself where there is none."""
        it = self.organizations
        schools = len(it.school_ids)
        first = np.searchsorted(it.school_lea, np.arange(len(it.lea_ids)))
        number = np.bincount(it.school_lea, minlength=len(it.lea_ids))
        lea = self.place_lea[place]
        following = first[lea] + (place - first[lea] + 1) % number[lea]
        return np.where(place < schools, following, place)

    def _add_up(
        self,
        year: int,
        person: np.ndarray,
        place: np.ndarray,
        share: np.ndarray,
        out_of_field: np.ndarray,
    ) -> None:
        it, truths = self.organizations, self.truths
        of = select(self.people, person)
        schools = len(it.school_ids)
        lea = self.place_lea[place]
        teaches = np.isin(of["kind"], _TEACHER)
        fte = _FTE[share]
        for level, where in (("SCH", place), ("LEA", lea), ("SEA", np.zeros(len(lea), int))):
            there = where < schools if level == "SCH" else np.ones(len(lea), bool)
            # Every class by itself, and all teachers together.
            for chosen, kind in (
                (there, of["kind"]),
                (there & teaches, np.full(len(lea), len(STAFF_CLASSES))),
            ):
                classes = {"staff_class": kind[chosen]}
                truths.add(year, "staff_fte", level, where[chosen], classes, fte[chosen])
            chosen = there & (of["kind"] == STAFF_CLASSES.index("STUSUP"))
            role = {"support_role": roles(of["id"][chosen])}
            truths.add(year, "staff_fte", level, where[chosen], role, fte[chosen])
            chosen = there & out_of_field
            everyone = {"all": np.zeros(chosen.sum(), int)}
            truths.add(year, "out_of_field_fte", level, where[chosen], everyone, fte[chosen])
            # Heads, not rows: a person counts once in each organization.
            width = int(where.max()) + 1
            _, rows = np.unique(person * width + where, return_index=True)
            heads = select(of, rows)
            at, is_teacher = where[rows], teaches[rows] & there[rows]
            new, short = heads["prior"] < 2, np.isin(heads["credential"], [1, 2])
            principal = heads["is_principal"] & there[rows]
            for measure, chosen in (
                ("teachers", is_teacher),
                ("inexperienced_teachers", is_teacher & new),
                ("provisional_teachers", is_teacher & short),
                ("principals", principal),
                ("inexperienced_principals", principal & new),
            ):
                groups = {"all": np.zeros(chosen.sum(), int)}
                truths.add(year, measure, level, at[chosen], groups)
