"""Operations on masks: morphology, margins, the patient's outline."""
