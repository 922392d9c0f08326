from rich.table import Table

from service.cli.tables import print_table


def test_what_another_program_reads_is_not_cut(capsys):
    uid = "1.2.826.0.1.3680043.8.498.10815501780690798350063047830940703664"
    table = Table("series", "study", "reason")
    table.add_row(uid, uid, "incomplete: " + "z=-134.5 mm, " * 6)
    print_table(table)
    assert capsys.readouterr().out.count(uid) == 2
