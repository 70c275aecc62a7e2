"""Numbers of [schwalbe-koda:25] for GAP-20 carbon at k = 32, cutoff 5 Å, bandwidth 0.015 Å⁻¹."""

# Entropy and ln n of each subset in nats; Fullerenes and Graphene are exact, the others read off figure 2c.
ENTROPY = {
    "Single_Atom": (0.0, 0.0),
    "Graphite_Layer_Sep": (1.23, 8.93),
    "Dimer": (2.78, 4.09),
    "Graphene": (4.245, 11.30),
    "Diamond": (4.33, 8.59),
    "Crystalline_Bulk": (5.25, 7.62),
    "Graphite": (5.59, 9.41),
    "Nanotubes": (7.04, 11.06),
    "Fullerenes": (8.679, 11.69),
    "LD_iter1": (9.31, 9.46),
    "Defects": (9.51, 13.09),
    "Surfaces": (9.80, 11.30),
    "Crystalline_RSS": (9.99, 10.52),
    "Liquid_Interface": (9.99, 10.04),
    "SACADA": (10.23, 11.30),
    "Amorphous_Surfaces": (10.33, 10.38),
    "Liquid": (11.64, 11.64),
}
# Overlap in percent of each test set (row) with each reference (column), tolerance 1 nat; from the notebooks.
NAMES = ("Fullerenes", "Graphite", "Nanotubes", "Graphene", "Defects")
OVERLAP = (  # reference by row, test by column
    (100, 9.001637, 76.776152, 91.763614, 35.341294),
    (1.354621, 100, 15.957347, 51.738861, 15.779495),
    (9.614847, 10.638298, 100, 99.190594, 36.048492),
    (5.826681, 8.183306, 55.941781, 100, 36.233439),
    (28.159822, 64.320786, 80.043587, 99.930693, 100),
)
TOLERANCE = 1.0  # nats
