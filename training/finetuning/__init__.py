"""Local fine-tuning: a published version learns a clinic's contours, and each structure is accepted separately."""
